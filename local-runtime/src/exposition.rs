//! `/metrics`: the process's counters as they are, and gauges that are asked of the store.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use common::App;
use common::collect::error_text;
use common::metrics::gauges::Gauges;
use common::outcome::{Code, Refusal};
use http::header;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long the store may take to answer; then the gauges stay as they were.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the store is asked at most.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// When the gauges were last asked for. Held while the families are written, so that no scrape
/// sees half of a change.
type Asked = Mutex<Option<Instant>>;

/// `/metrics`.
pub(crate) fn router(app: App) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state((app, Arc::new(Asked::default())))
}

/// All metrics in the Prometheus text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(
    State((app, asked)): State<(App, Arc<Asked>)>,
) -> Result<([(header::HeaderName, &'static str); 2], String), Refusal> {
    let mut asked = asked.lock().await;
    if asked.is_none_or(|asked| asked.elapsed() >= FRESH_FOR) {
        match tokio::time::timeout(PATIENCE, Gauges::ask(&app, app.now())).await {
            Ok(Ok(gauges)) => gauges.show(&app.metrics),
            Ok(Err(error)) => tracing::error!(error = error_text(&error), "gauges could not be refreshed"),
            Err(_) => tracing::warn!("gauges could not be refreshed in time"),
        }
        *asked = Some(Instant::now());
    }
    let text = app.metrics.text().map_err(|error| {
        tracing::error!(%error, "metrics could not be written");
        Refusal::new(Code::Internal, "something went wrong on our side")
    })?;
    let headers =
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, text))
}
