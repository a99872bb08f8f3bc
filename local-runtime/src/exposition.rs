//! `/metrics`: the process's counters as they are, and gauges that are asked of the store.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use common::App;
use common::collect::error_text;
use common::measure::service::QueryError;
use common::metrics::gauges::Gauges;
use common::outcome::{Code, Refusal};
use http::header;
#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::services::Services;

/// How long a scrape waits for the store. What takes longer goes on, and is shown by the next one.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the store is asked at most.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// The latest question about the gauges.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    since: Option<Instant>,
    /// Until its answer is shown.
    asking: Option<JoinHandle<Result<Gauges, QueryError>>>,
}

impl Asked {
    /// Shows gauges that are as fresh as can be had in time.
    async fn refresh(&mut self, app: &App) {
        // What was late for the scrape before this one.
        if self.asking.as_ref().is_some_and(JoinHandle::is_finished) {
            self.show(app).await;
        }
        if self.asking.is_none() && self.since.is_none_or(|since| since.elapsed() >= FRESH_FOR) {
            let asked = app.clone();
            self.asking = Some(tokio::spawn(async move { Gauges::ask(&asked, asked.now()).await }));
            self.since = Some(Instant::now());
        }
        if tokio::time::timeout(PATIENCE, self.show(app)).await.is_err() {
            tracing::warn!("gauges could not be refreshed in time: they are shown as they were");
        }
    }

    /// Waits for the answer, if there is a question, and shows it.
    async fn show(&mut self, app: &App) {
        let Some(asking) = &mut self.asking else { return };
        match asking.await {
            Ok(Ok(gauges)) => gauges.show(&app.metrics),
            Ok(Err(error)) => tracing::error!(error = error_text(&error), "gauges could not be refreshed"),
            Err(error) => tracing::error!(%error, "gauges could not be refreshed"),
        }
        self.asking = None;
    }
}

/// `/metrics`.
pub(crate) fn router(services: Arc<Services>) -> Router {
    // Memory, processor time and open files, where the system tells.
    #[cfg(target_os = "linux")]
    if let Err(error) = services.app.metrics.show(ProcessCollector::for_self()) {
        tracing::error!(%error, "metrics of the process cannot be shown");
    }
    Router::new().route("/metrics", get(metrics)).with_state((services, Arc::new(Mutex::new(Asked::default()))))
}

/// All metrics in the Prometheus text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(
    State((services, asked)): State<(Arc<Services>, Arc<Mutex<Asked>>)>,
) -> Result<([(header::HeaderName, &'static str); 2], String), Refusal> {
    // Held while the families are written, so that no scrape sees half of a change.
    let mut asked = asked.lock().await;
    tokio::join!(asked.refresh(&services.app), services.store_health.show());
    let text = services.app.metrics.text().map_err(|error| {
        tracing::error!(%error, "metrics could not be written");
        Refusal::new(Code::Internal, "something went wrong on our side")
    })?;
    let headers =
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, text))
}

#[cfg(test)]
mod tests {
    use common::source::System;
    use tokio::sync::oneshot;

    use super::*;
    use crate::testing::{app_with, append};

    #[tokio::test]
    async fn what_is_late_for_a_scrape_is_shown_by_the_next() {
        let (app, _files) = app_with(&[], Arc::new(System)).await;
        append(&app, "a", 1).await;
        let gauges = Gauges::ask(&app, app.now()).await.unwrap();
        let (answer, late) = oneshot::channel();
        let asking = Some(tokio::spawn(async move { Ok(late.await.unwrap()) }));
        let mut asked = Asked { since: Some(Instant::now()), asking };
        // From here on nothing but this answer is waited for: patience ends at once.
        tokio::time::pause();
        asked.refresh(&app).await;
        assert_eq!(app.metrics.current_visitors.get(), 0, "it is shown as it was");
        assert!(asked.asking.is_some(), "and not asked a second time");
        assert!(answer.send(gauges).is_ok(), "the question goes on");
        // One of its own would be answered by threads, for which a clock at rest does not wait.
        asked.since = Some(Instant::now());
        asked.refresh(&app).await;
        assert_eq!(app.metrics.current_visitors.get(), 1);
        assert!(asked.asking.is_none());
    }
}
