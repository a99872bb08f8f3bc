//! The themes of the CV that are looked at most.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use common::App;
use common::http::{Answer, ApiError, BASE_PATH, Params};
use common::outcome::Code;
use common::period::{Period, PeriodKey};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

/// A theme and how often it was viewed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Theme {
    /// Its name.
    pub theme: String,
    /// Its views.
    pub views: u64,
    /// The same as `views`; older clients read this name.
    pub count: u64,
    /// Its share of all theme views, 0 to 100.
    pub percentage: f64,
}

/// `GET /themes`.
pub fn router(app: App) -> Router {
    Router::new().route(&format!("{BASE_PATH}/themes"), get(themes)).with_state(app)
}

/// The documentation of this endpoint.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(themes))]
    struct Api;
    Api::openapi()
}

/// The most viewed themes, most viewed first, ties by name.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/themes",
    tag = "questions",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 20, description = "How many, 5 when not said"),
        ("period" = Option<Period>, Query, description = "The current period of this kind; all kept days when none is named"),
        ("site" = Option<String>, Query, description = "The site, `default` when none is named"),
    ),
    responses(
        (status = 200, description = "The most viewed themes", body = Answer<Vec<Theme>>),
        (status = 400, description = "INVALID_LIMIT, INVALID_PERIOD or INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
async fn themes(State(app): State<App>, params: Params) -> Result<Response, ApiError> {
    let today = app.now().day();
    let site = params.site(&app)?;
    let limit = params.number("limit", 1..=20, 5_usize, Code::InvalidLimit)?;
    let days = match params.period()? {
        Some(period) => {
            let key = PeriodKey::of(period, today);
            key.first_day()..key.last_day().plus(1)
        }
        // Clocks of senders may be in tomorrow already.
        None => common::retention::cutoff(app.config.retention_days, app.now())..today.plus(2),
    };
    app.answer(format!("themes/{site}/{}/{}/{limit}", days.start, days.end), async {
        let themes = app.measure.themes(&*app.store, &site, days, limit, app.now()).await?;
        let total = themes.total as f64;
        let rows = themes.rows.into_iter().map(|(theme, views)| Theme {
            theme,
            views,
            count: views,
            percentage: views as f64 * 100.0 / total,
        });
        Ok(Answer::new(rows.collect::<Vec<_>>()))
    })
    .await
}
