//! What happens on a site right now.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use common::App;
use common::http::{Answer, ApiError, BASE_PATH, Params};
use common::site::Site;
use common::time::Timestamp;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

/// What happens now, and has happened today (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Realtime {
    /// Distinct visitors with an event in the active window (5 minutes), by the event's own time.
    pub current_visitors: u64,
    /// Distinct visitors of today.
    pub unique_today: u64,
    /// Events of today.
    pub total_events: u64,
    /// Letters generated today.
    pub letters_today: u64,
    /// The instant that all this is about, in Unix seconds.
    pub timestamp: i64,
}

/// `GET /realtime`.
pub fn router(app: App) -> Router {
    Router::new().route(&format!("{BASE_PATH}/realtime"), get(realtime)).with_state(app)
}

/// The documentation of this endpoint.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(realtime))]
    struct Api;
    Api::openapi()
}

/// What happens on a site as of `now`: the answer here, in the live feed and in the metric.
///
/// # Errors
/// When the store cannot answer.
pub async fn current(app: &App, site: &Site, now: Timestamp) -> Result<Realtime, ApiError> {
    let realtime = app.store.realtime(site, now, app.config.active_window).await?;
    Ok(Realtime {
        current_visitors: realtime.current_visitors,
        unique_today: realtime.unique_today,
        total_events: realtime.total_events,
        letters_today: realtime.letters_today,
        timestamp: now.seconds(),
    })
}

/// What happens on a site right now.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/realtime",
    tag = "questions",
    params(("site" = Option<String>, Query, description = "The site, `default` when none is named")),
    responses(
        (status = 200, description = "What happens now, and has happened today (UTC)", body = Answer<Realtime>),
        (status = 400, description = "INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
async fn realtime(State(app): State<App>, params: Params) -> Result<Response, ApiError> {
    let now = app.now();
    let site = params.site(&app)?;
    // The window slides: an answer is right for the second that it names.
    app.answer(format!("realtime/{site}/{}", now.seconds()), async {
        Ok(Answer::new(current(&app, &site, now).await?))
    })
    .await
}
