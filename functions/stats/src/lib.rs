//! The figures of a day, a week or a month.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use common::App;
use common::http::{Answer, ApiError, BASE_PATH, Params};
use common::period::Period;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

/// The figures of one period.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Stats {
    /// Its kind.
    pub period: Period,
    /// Which one, such as `2025-12-08`, `2025-W50` or `2025-12`.
    pub period_key: String,
    /// All events.
    pub total_events: u64,
    /// Page views.
    pub page_views: u64,
    /// Letters generated.
    pub letters_generated: u64,
    /// Distinct visitors.
    pub unique_visitors: u64,
    /// Letters by unique visitors; 0 when there are none.
    pub conversion_rate: f64,
}

/// `GET /stats`.
pub fn router(app: App) -> Router {
    Router::new().route(&format!("{BASE_PATH}/stats"), get(stats)).with_state(app)
}

/// The documentation of this endpoint.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(stats))]
    struct Api;
    Api::openapi()
}

/// The figures of a day, a week or a month.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/stats",
    tag = "questions",
    params(
        ("period" = Option<Period>, Query, description = "The kind of period, `day` when none is named"),
        ("date" = Option<String>, Query, description = "A day (YYYY-MM-DD) in the period, today when none is named"),
        ("site" = Option<String>, Query, description = "The site, `default` when none is named"),
    ),
    responses(
        (status = 200, description = "The figures; day figures are kept 90 days, week and month figures 365, and these include days that were imported after their events had expired", body = Answer<Stats>),
        (status = 400, description = "INVALID_PERIOD, INVALID_DATE or INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
async fn stats(State(app): State<App>, params: Params) -> Result<Response, ApiError> {
    let now = app.now();
    let key = params.period_key(now)?;
    let site = params.site(&app)?;
    app.answer(format!("stats/{site}/{key}"), async {
        let totals = app.measure.totals(&*app.store, &site, key, now).await?;
        Ok(Answer::new(Stats {
            period: key.period(),
            period_key: key.to_string(),
            total_events: totals.events,
            page_views: totals.page_views,
            letters_generated: totals.letters,
            unique_visitors: totals.visitors,
            conversion_rate: totals.conversion_rate(),
        }))
    })
    .await
}
