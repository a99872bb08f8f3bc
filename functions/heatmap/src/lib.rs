//! Where visitors click.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use common::App;
use common::http::{Answer, ApiError, BASE_PATH, Params};
use common::outcome::Code;
use common::url::Url;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

/// The most places that one answer has; beyond it the least clicked ones are left out.
pub const MOST_PLACES: usize = 10_000;

/// A place on a page and how often it was clicked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Place {
    /// Percent of the page's width from the left, 0 to 100.
    pub x: u8,
    /// Percent of the page's height from the top, 0 to 100.
    pub y: u8,
    /// Clicks.
    pub count: u64,
    /// The page's path.
    pub page_url: String,
    /// The element clicked there most often, if senders named any.
    pub element: Option<String>,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
// All functions are described in one document, where a name stands for one schema.
#[schema(as = HeatmapMeta)]
pub struct Meta {
    /// The page's path; null for all pages.
    pub page_url: Option<String>,
    /// The hours looked back.
    pub hours: i64,
    /// How many places follow.
    pub count: usize,
}

/// `GET /heatmap`.
pub fn router(app: App) -> Router {
    Router::new().route(&format!("{BASE_PATH}/heatmap"), get(heatmap)).with_state(app)
}

/// The documentation of this endpoint.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(heatmap))]
    struct Api;
    Api::openapi()
}

/// Clicked places, most clicked first.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/heatmap",
    tag = "questions",
    params(
        ("page_url" = Option<String>, Query, description = "The page, by its path in any spelling (alias `page`); all pages when none is named"),
        ("hours" = Option<u32>, Query, minimum = 1, maximum = 168, description = "How many hours back, the current one included; 24 when not said"),
        ("site" = Option<String>, Query, description = "The site, `default` when none is named"),
    ),
    responses(
        (status = 200, description = "Clicked places", body = Answer<Vec<Place>, Meta>),
        (status = 400, description = "INVALID_HOURS or INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
async fn heatmap(State(app): State<App>, params: Params) -> Result<Response, ApiError> {
    let now = app.now();
    let hour = now.hour();
    let site = params.site(&app)?;
    let hours_back = params.number("hours", 1..=168_i64, 24, Code::InvalidHours)?;
    let page = match params.get("page_url").or_else(|| params.get("page")) {
        None | Some("") => None,
        Some(text) => Some(Url::new(text).page().into_owned()),
    };
    app.answer(format!("heatmap/{site}/{hour}/{hours_back}/{page:?}"), async {
        // Clocks of senders may be ahead.
        let hours = hour - hours_back + 1..now.day().plus(2).start().hour();
        let places = app.measure.clicks(&*app.store, &site, page.as_deref(), hours, MOST_PLACES, now).await?;
        let places = places.into_iter().map(|place| Place {
            x: place.x,
            y: place.y,
            count: place.count,
            page_url: place.page,
            element: Some(place.element).filter(|element| !element.is_empty()),
        });
        let places: Vec<Place> = places.collect();
        let meta = Meta { page_url: page.clone(), hours: hours_back, count: places.len() };
        Ok(Answer::with_meta(places, meta))
    })
    .await
}
