//! The same questions in the formats of Plausible's Stats API, versions 1 and 2, so that existing clients
//! work. What the formats mean is in `common::measure::plausible`.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use common::App;
use common::http::answers::json;
use common::http::{ApiError, ErrorPage, Params};
use common::measure::days::Counts;
use common::measure::plausible::{error_body, v1, v2};
use common::measure::query::{self, Context, Query};
use common::outcome::Code;
use common::site::Site;
use common::time::Timestamp;

use serde_json::Value;

/// `POST /api/v2/query`, and the four paths of `GET /api/v1/stats/`.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/v2/query", post(v2))
        .route("/api/v1/stats/realtime/visitors", get(realtime))
        .route("/api/v1/stats/aggregate", get(aggregate))
        .route("/api/v1/stats/timeseries", get(timeseries))
        .route("/api/v1/stats/breakdown", get(breakdown))
}

/// A query in the format of Plausible's Stats API, version 2.
#[utoipa::path(
    post,
    path = "/api/v2/query",
    tag = "questions",
    request_body(content = Value, description = "The query", example = json!({
        "site_id": "default", "metrics": ["visitors"], "date_range": "7d"
    })),
    responses(
        (status = 200, description = "`results`, `meta` and `query`"),
        (status = 400, description = "`{\"error\": …}` with what is allowed"),
        (status = 401, description = "The site is not known"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn v2(State(app): State<App>, params: Params, body: Bytes) -> Response {
    present(async {
        let value = query::json(&body)?;
        let now = app.now();
        let (counts, context) =
            prepare(&app, &params, &v2::Request::site(&value)?, Query::asks_all(&value), now).await?;
        let request = v2::Request::parse(&value, &context)?;
        let (results, meta) = app.measure.query(&*app.store, &request.query, &counts, now).await?;
        Ok(request.response(results, meta))
    })
    .await
}

/// The visitors of the last minutes, in the format of Plausible's Stats API, version 1.
#[utoipa::path(
    get,
    path = "/api/v1/stats/realtime/visitors",
    tag = "questions",
    params(("site_id" = String, Query, description = "The site")),
    responses(
        (status = 200, description = "A number"),
        (status = 401, description = "The site is not known"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn realtime(State(app): State<App>, params: Params) -> Response {
    v1(&app, v1::Path::RealtimeVisitors, &params).await
}

/// Metrics of a period, in the format of Plausible's Stats API, version 1.
#[utoipa::path(
    get,
    path = "/api/v1/stats/aggregate",
    tag = "questions",
    params(
        ("site_id" = String, Query, description = "The site"),
        ("metrics" = Option<String>, Query, description = "Names, separated by commas; `visitors` if none is named"),
        ("period" = Option<String>, Query, description = "The range, `30d` if none is named"),
        ("date" = Option<String>, Query, description = "The last day of the range, or, for `custom`, its first and last day"),
        ("filters" = Option<String>, Query, description = "`property==value`, separated by `;`"),
        ("compare" = Option<String>, Query, description = "`previous_period`"),
    ),
    responses(
        (status = 200, description = "`results`: a value for each metric"),
        (status = 400, description = "`{\"error\": …}` with what is allowed"),
        (status = 401, description = "The site is not known"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn aggregate(State(app): State<App>, params: Params) -> Response {
    v1(&app, v1::Path::Aggregate, &params).await
}

/// Metrics by time, in the format of Plausible's Stats API, version 1.
#[utoipa::path(
    get,
    path = "/api/v1/stats/timeseries",
    tag = "questions",
    params(
        ("site_id" = String, Query, description = "The site"),
        ("metrics" = Option<String>, Query, description = "Names, separated by commas; `visitors` if none is named"),
        ("period" = Option<String>, Query, description = "The range, `30d` if none is named"),
        ("date" = Option<String>, Query, description = "The last day of the range, or, for `custom`, its first and last day"),
        ("filters" = Option<String>, Query, description = "`property==value`, separated by `;`"),
        ("interval" = Option<String>, Query, description = "The unit of time"),
    ),
    responses(
        (status = 200, description = "`results`: a row for each unit of time"),
        (status = 400, description = "`{\"error\": …}` with what is allowed"),
        (status = 401, description = "The site is not known"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn timeseries(State(app): State<App>, params: Params) -> Response {
    v1(&app, v1::Path::Timeseries, &params).await
}

/// Metrics by a property, in the format of Plausible's Stats API, version 1.
#[utoipa::path(
    get,
    path = "/api/v1/stats/breakdown",
    tag = "questions",
    params(
        ("site_id" = String, Query, description = "The site"),
        ("property" = String, Query, description = "What to group by, such as `visit:source`"),
        ("metrics" = Option<String>, Query, description = "Names, separated by commas; `visitors` if none is named"),
        ("period" = Option<String>, Query, description = "The range, `30d` if none is named"),
        ("date" = Option<String>, Query, description = "The last day of the range, or, for `custom`, its first and last day"),
        ("filters" = Option<String>, Query, description = "`property==value`, separated by `;`"),
        ("limit" = Option<u32>, Query, description = "The most rows, 100 if not said", minimum = 1, maximum = 1000),
        ("page" = Option<u32>, Query, description = "Which page of rows, from 1", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "`results`: a row for each value"),
        (status = 400, description = "`{\"error\": …}` with what is allowed"),
        (status = 401, description = "The site is not known"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn breakdown(State(app): State<App>, params: Params) -> Response {
    v1(&app, v1::Path::Breakdown, &params).await
}

async fn v1(app: &App, path: v1::Path, params: &Params) -> Response {
    present(async {
        let now = app.now();
        let asks_all = params.get("period") == Some("all");
        let (counts, context) = prepare(app, params, &v1::Request::site(params.all())?, asks_all, now).await?;
        let request = v1::Request::parse(path, params.all(), &context)?;
        let (results, _) = app.measure.query(&*app.store, &request.query, &counts, now).await?;
        Ok(request.response(&results))
    })
    .await
}

async fn prepare(
    app: &App,
    params: &Params,
    site: &Site,
    asks_all: bool,
    now: Timestamp,
) -> Result<(Counts, Context<'static>), ApiError> {
    params.may_read(app, site)?;
    let counts = app.measure.counts(&*app.store, site, now).await?;
    let context = app.measure.context(&*app.store, site, &counts, asks_all, now).await?;
    Ok((counts, context))
}

/// The answer, or what is wrong with the request, as these formats tell it.
async fn present(answer: impl Future<Output = Result<Value, ApiError>>) -> Response {
    match answer.await {
        Ok(value) => json(StatusCode::OK, value.to_string().into()),
        Err(ApiError::Refused(refusal)) => {
            let unknown_site = matches!(refusal.code, Code::InvalidSite | Code::Forbidden);
            let status = if unknown_site { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
            let mut response = json(status, error_body(&refusal).to_string().into());
            response.extensions_mut().insert(ErrorPage);
            response
        }
        Err(error) => error.into_response(),
    }
}
