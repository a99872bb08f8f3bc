//! Letters generated: how many, of which type, on which days.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use common::App;
use common::http::{Answer, ApiError, BASE_PATH, Params};
use common::period::{Period, PeriodKey};
use common::time::Day;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

/// The letters of one period.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Letters {
    /// Its kind.
    pub period: Period,
    /// Which one, such as `2025-12-08`, `2025-W50` or `2025-12`.
    pub period_key: String,
    /// All letters.
    pub total: u64,
    /// Letters of motivation.
    pub motivation: u64,
    /// Letters of the opposite.
    pub anti_motivation: u64,
    /// Distinct visitors.
    pub unique_visitors: u64,
    /// Letters by unique visitors; 0 when there are none.
    pub conversion_rate: f64,
    /// One entry for every day of the period so far, oldest first.
    pub history: Vec<LettersOfDay>,
}

/// The letters of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LettersOfDay {
    /// The UTC day.
    #[schema(value_type = String, format = Date, example = "2025-12-08")]
    pub date: Day,
    /// All letters of the day.
    pub count: u64,
}

/// `GET /letters`.
pub fn router(app: App) -> Router {
    Router::new().route(&format!("{BASE_PATH}/letters"), get(letters)).with_state(app)
}

/// The documentation of this endpoint.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(letters))]
    struct Api;
    Api::openapi()
}

/// Letters of the current period.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/letters",
    tag = "questions",
    params(
        ("period" = Option<Period>, Query, description = "The kind of period, `day` when none is named"),
        ("site" = Option<String>, Query, description = "The site, `default` when none is named"),
    ),
    responses(
        (status = 200, description = "Letters by type and day", body = Answer<Letters>),
        (status = 400, description = "INVALID_PERIOD or INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
async fn letters(State(app): State<App>, params: Params) -> Result<Response, ApiError> {
    let now = app.now();
    let today = now.day();
    let key = PeriodKey::of(params.period()?.unwrap_or(Period::Day), today);
    let site = params.site(&app)?;
    app.answer(format!("letters/{site}/{key}/{today}"), async {
        let totals = app.measure.totals(&*app.store, &site, key, now).await?;
        let days = key.first_day()..today.plus(1);
        let history = app.measure.daily(&*app.store, &site, days, now).await?;
        Ok(Answer::new(Letters {
            period: key.period(),
            period_key: key.to_string(),
            total: totals.letters,
            motivation: totals.motivation,
            anti_motivation: totals.anti_motivation,
            unique_visitors: totals.visitors,
            conversion_rate: totals.conversion_rate(),
            history: history.into_iter().map(|(date, totals)| LettersOfDay { date, count: totals.letters }).collect(),
        }))
    })
    .await
}
