//! The cleanup run: deletes what is older than the retention, in bounded steps.

use std::time::Instant;

use serde::Serialize;

use crate::App;
use crate::store::StoreError;
use crate::time::{Day, Timestamp};

/// What a cleanup run did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Report {
    /// The first UTC day that is kept; events of all days before it are gone.
    #[schema(value_type = String, format = Date, example = "2025-09-09")]
    pub cutoff: Day,
    /// Events deleted by this run.
    pub deleted: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// When a run last succeeded: this one.
    #[schema(value_type = String, format = DateTime)]
    pub last_success: Timestamp,
}

/// The first day that is kept at `now`: whole days go, so an event lives for the retention
/// and at most a day longer.
#[must_use]
pub fn cutoff(retention_days: u32, now: Timestamp) -> Day {
    now.day().plus(-i32::try_from(retention_days).unwrap_or(i32::MAX))
}

/// Deletes events of days before the cutoff, aggregates that have outlived their use, and
/// expired salts. Running it again, or after a crash, does the rest or nothing.
///
/// # Errors
/// When the store cannot; what was deleted until then stays deleted.
pub async fn run(app: &App, now: Timestamp) -> Result<Report, StoreError> {
    let started = Instant::now();
    let cutoff = cutoff(app.config.retention_days, now);
    app.identity.destroy_expired(now).await?;
    let mut deleted = 0;
    loop {
        let step = app.store.delete_before(cutoff, now).await?;
        deleted += step.deleted;
        app.metrics.cleanup_deleted_events_total.inc_by(step.deleted);
        if step.done {
            break;
        }
    }
    app.store.cleaned(now).await?;
    app.metrics.cleaned(Some(now));
    let report = Report { cutoff, deleted, duration_ms: started.elapsed().as_millis() as u64, last_success: now };
    tracing::info!(cutoff = %report.cutoff, deleted, duration_ms = report.duration_ms, "cleanup done");
    Ok(report)
}
