//! Filling a database over the wire, as late deliveries of the last 23 hours.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::context::BASE;
use crate::events::Shape;
use crate::load::{Expect, Plan, Running};
use crate::process::Process;
use crate::request::{Ring, Spread};

/// Events a batch, the most that the product takes.
const BATCH: u64 = 500;
/// Late delivery ends at 24 hours; an hour is left for the filling itself.
const SPAN_MS: u64 = 23 * 3_600_000;

/// Stores `events` events, rounded up to whole batches; answers how many.
///
/// # Errors
/// When one of them is not stored: everything after would be about something else.
pub(crate) async fn fill(to: &Process, events: u64) -> Result<u64> {
    let batches = events.div_ceil(BATCH);
    let events = batches * BATCH;
    let now = jiff::Timestamp::now().as_millisecond();
    let spread = Spread { from: now - SPAN_MS as i64, step: (SPAN_MS * 1_000 / events) as i64 };
    let shape = Shape { visitor: true, event_id: false, timestamp: true };
    let ring = Ring::batches(&format!("{BASE}/events"), shape, BATCH as usize).over(spread);
    let running = Running::start(Plan {
        to: to.addr,
        connections: 4,
        ring: Arc::new(ring),
        expect: Expect { status: 200, part: Some(format!("\"stored\":{BATCH}")) },
        warm: Duration::ZERO,
        length: Duration::from_secs(3_600),
        limit: batches,
    })
    .await?;
    // Draws only where stderr is a terminal.
    let bar = ProgressBar::new(events);
    bar.set_style(ProgressStyle::with_template("filling {wide_bar} {human_pos}/{human_len} {eta}")?);
    let progress = running.progress();
    let drawn = bar.clone();
    let drawing = tokio::spawn(async move {
        loop {
            drawn.set_position(progress() * BATCH);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let outcome = running.join().await;
    drawing.abort();
    bar.finish_and_clear();
    let outcome = outcome?;
    let complaint = outcome.complaint.as_deref().unwrap_or("none");
    ensure!(outcome.requests == batches, "filling stored too little; complaint: {complaint}");
    Ok(events)
}
