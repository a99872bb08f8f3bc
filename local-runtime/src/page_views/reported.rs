//! Visits that a script of the page makes (htmx, Turbo): where the tracker runs, it follows the
//! page's address and reports them too, at about the time of the request. There is no answer that
//! it could read first, so the layer waits for its report.

use std::time::Duration;

use common::App;
use common::event::{Event, SentEvent};
use common::event_type::EventType;
use common::store::{News, TimelineFrom};
use common::time::{SECOND, Timestamp};
use common::visitor::VisitorId;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How long a visit may wait for the tracker's report of it.
const REPORT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long before the request the report may have come, in milliseconds.
const REPORTED_BEFORE: i64 = 3 * SECOND;

/// What the store commits from a request on.
pub(super) type Feed = Receiver<News>;

/// Whether the tracker reports this view of a visitor, requested at `now`; `feed` has what was
/// committed since. It waits for [`REPORT_TIMEOUT`], and no longer than `stop`.
pub(super) async fn is_reported(
    app: &App,
    feed: &mut Feed,
    view: &SentEvent,
    visitor: VisitorId,
    now: Timestamp,
    stop: impl Future<Output = ()>,
) -> bool {
    let page = view.page_url.as_ref().map(|url| url.page());
    let is_report = |event: &Event| {
        event.event_type == EventType::PageView
            && event.visitor == visitor
            && event.page_url.as_ref().map(|url| url.page()) == page
    };
    let is_stored = async || {
        let recent = app.store.timeline(&view.site, TimelineFrom::all(0), 10).await.unwrap_or_default();
        recent.iter().any(|event| event.created_at >= now.plus(-REPORTED_BEFORE) && is_report(event))
    };
    if is_stored().await {
        return true;
    }
    let reported = async {
        loop {
            match feed.recv().await {
                Ok(news) => {
                    if news.committed().iter().any(|it| it.event.site == view.site && is_report(&it.event)) {
                        return;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    };
    tokio::select! {
        biased;
        () = reported => true,
        // The feed may have lagged, or have more to read when the wait is cut short.
        _ = tokio::time::timeout(REPORT_TIMEOUT, stop) => is_stored().await,
    }
}
