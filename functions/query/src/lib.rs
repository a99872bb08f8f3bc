//! Questions of the query language: metrics by dimensions, funnels, retention; the same in Plausible's
//! formats; the list of sites; their goals and funnels; and what was not counted.

mod batch;
mod export;
mod goals;
mod outcomes;
mod plausible;
mod sites;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use common::App;
use common::http::answers::json;
use common::http::{Answer, ApiError, BASE_PATH, Budget, Params};
use common::measure::days::Counts;
use common::measure::query::openapi::{FunnelRequest, QueryRequest, RetentionRequest};
use common::measure::query::{
    self, Context, EventsMeta, FunnelQuery, FunnelResults, Meta, Query, Results, RetentionQuery, RetentionResults,
};
use common::outcome::{Code, Refusal};
use common::time::Timestamp;
use serde_json::Value;
use utoipa::OpenApi;

/// The most bytes of a query.
const MOST_BYTES: usize = 64 * 1024;

/// `POST /query`, `GET /query?q=…`, `POST /query/funnel`, `POST /query/retention`, `GET /sites`,
/// `GET /outcomes`, `GET` and `PUT /goals`, and `GET /export/…`.
pub fn router(app: App) -> Router {
    Router::new()
        .route(&format!("{BASE_PATH}/query"), get(linked).post(sent))
        .route(&format!("{BASE_PATH}/query/funnel"), post(funnel))
        .route(&format!("{BASE_PATH}/query/retention"), post(retention))
        .route(&format!("{BASE_PATH}/sites"), get(sites::sites))
        .route(&format!("{BASE_PATH}/outcomes"), get(outcomes::outcomes))
        .route(&format!("{BASE_PATH}/goals"), get(goals::get).put(goals::put))
        .merge(export::router())
        .merge(plausible::router())
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(app)
}

/// The documentation of this endpoint.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(
        linked,
        sent,
        funnel,
        retention,
        sites::sites,
        outcomes::outcomes,
        goals::get,
        goals::put,
        export::visitors,
        export::themes,
        export::letters,
        plausible::v2,
        plausible::realtime,
        plausible::aggregate,
        plausible::timeseries,
        plausible::breakdown
    ))]
    struct Api;
    Api::openapi()
}

/// A query as part of a link.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/query",
    tag = "questions",
    params(
        ("q" = String, Query, description = "The query, as JSON"),
        ("format" = Option<String>, Query, description = "`json` (the default) or `csv`"),
    ),
    responses(
        (status = 200, description = "Rows of dimensions and metrics; what was covered in `meta`", body = Answer<Results, Meta>),
        (status = 400, description = "INVALID_QUERY, INVALID_JSON, INVALID_DATE, INVALID_LIMIT, INVALID_OFFSET or INVALID_SITE, with what is allowed"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
async fn linked(State(app): State<App>, params: Params, headers: HeaderMap) -> Result<Response, ApiError> {
    let text = params.get("q").ok_or_else(|| Refusal::new(Code::InvalidQuery, "q must be a query, as JSON"))?;
    answer(&app, &params, &query::json(text.as_bytes())?, wants_csv(&params, &headers)?).await
}

/// A query as a body, or an array of up to 20 queries, which is answered with an array: each query has its
/// own answer or failure, as if it had been asked alone.
#[utoipa::path(
    post,
    path = "/api/v1/analytics/query",
    tag = "questions",
    request_body(content = QueryRequest, description = "The query, or an array of 1 to 20 queries", example = json!({
        "site": "default", "metrics": ["visitors", "bounce_rate"], "date_range": "30d",
        "dimensions": ["event:page"], "filters": [["is", "visit:country", ["FR", "BE"]]]
    })),
    params(("format" = Option<String>, Query, description = "`json` (the default) or `csv`")),
    responses(
        (status = 200, description = "Rows of dimensions and metrics; what was covered in `meta`. For an array: `data` is an array of such answers, or of failures with `success`, `error`, `code` and, where it is worth asking again, `retry_after` in seconds", body = Answer<Results, Meta>),
        (status = 400, description = "INVALID_QUERY, INVALID_JSON, INVALID_DATE, INVALID_LIMIT, INVALID_OFFSET or INVALID_SITE, with what is allowed"),
        (status = 413, description = "PAYLOAD_TOO_LARGE: at most 64 KiB"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
async fn sent(
    State(app): State<App>,
    params: Params,
    headers: HeaderMap,
    budget: Option<Extension<Budget>>,
    body: Bytes,
) -> Result<Response, ApiError> {
    match query::json(&body)? {
        Value::Array(queries) if !wants_csv(&params, &headers)? => {
            batch::answer(&app, &params, &queries, budget.map(|Extension(budget)| budget)).await
        }
        value => answer(&app, &params, &value, wants_csv(&params, &headers)?).await,
    }
}

async fn answer(app: &App, params: &Params, value: &Value, csv: bool) -> Result<Response, ApiError> {
    if !csv {
        return Ok(json(StatusCode::OK, answer_json(app, params, value).await?));
    }
    let now = app.now();
    let (counts, context) = prepare(app, params, value, now).await?;
    let query = Query::parse(value, &context)?;
    let (results, _) = app.measure.query(&*app.store, &query, &counts, now).await?;
    Ok(as_csv(query.csv(&results)))
}

async fn answer_json(app: &App, params: &Params, value: &Value) -> Result<Bytes, ApiError> {
    let now = app.now();
    let (counts, context) = prepare(app, params, value, now).await?;
    let query = Query::parse(value, &context)?;
    app.answer_json(format!("query/{}", query.key()), async {
        let (results, meta) = app.measure.query(&*app.store, &query, &counts, now).await?;
        Ok(Answer::with_meta(results, meta))
    })
    .await
}

/// How many visitors take each of 2 to 8 steps in order.
#[utoipa::path(
    post,
    path = "/api/v1/analytics/query/funnel",
    tag = "questions",
    request_body(content = FunnelRequest, description = "The funnel", example = json!({
        "site": "default", "date_range": "30d", "within": "visit",
        "steps": [["is", "event:page", ["/"]], ["is", "event:name", ["signup"]]]
    })),
    params(("format" = Option<String>, Query, description = "`json` (the default) or `csv`")),
    responses(
        (status = 200, description = "Visitors, drop-off and median time of each step", body = Answer<FunnelResults, EventsMeta>),
        (status = 400, description = "INVALID_QUERY, INVALID_JSON, INVALID_DATE, INVALID_LIMIT or INVALID_SITE, with what is allowed"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
async fn funnel(State(app): State<App>, params: Params, headers: HeaderMap, body: Bytes) -> Result<Response, ApiError> {
    let (value, csv, now) = (query::json(&body)?, wants_csv(&params, &headers)?, app.now());
    let (counts, context) = prepare(&app, &params, &value, now).await?;
    let query = FunnelQuery::parse(&value, &context)?;
    if csv {
        let (results, _) = app.measure.funnel(&*app.store, &query, &counts, now).await?;
        return Ok(as_csv(results.csv(&query)));
    }
    app.answer(format!("funnel/{}", query.key()), async {
        let (results, meta) = app.measure.funnel(&*app.store, &query, &counts, now).await?;
        Ok(Answer::with_meta(results, meta))
    })
    .await
}

/// How many visitors with an explicit id return in the weeks after their first.
#[utoipa::path(
    post,
    path = "/api/v1/analytics/query/retention",
    tag = "questions",
    request_body(content = RetentionRequest, description = "The site, its zone, and for how many weeks", example = json!({
        "site": "default", "weeks": 8
    })),
    params(("format" = Option<String>, Query, description = "`json` (the default) or `csv`")),
    responses(
        (status = 200, description = "A cohort for each week, oldest first", body = Answer<RetentionResults, EventsMeta>),
        (status = 400, description = "INVALID_QUERY, INVALID_JSON or INVALID_SITE, with what is allowed"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
async fn retention(
    State(app): State<App>,
    params: Params,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (value, csv, now) = (query::json(&body)?, wants_csv(&params, &headers)?, app.now());
    let (counts, context) = prepare(&app, &params, &value, now).await?;
    let query = RetentionQuery::parse(&value, &context)?;
    if csv {
        return Ok(as_csv(app.measure.retention(&*app.store, &query, &counts, now).await?.0.csv()));
    }
    app.answer(format!("retention/{}", query.key()), async {
        let (results, meta) = app.measure.retention(&*app.store, &query, &counts, now).await?;
        Ok(Answer::with_meta(results, meta))
    })
    .await
}

/// What the meaning of a query depends on; its site must be one that is measured.
async fn prepare(
    app: &App,
    params: &Params,
    value: &Value,
    now: Timestamp,
) -> Result<(Counts, Context<'static>), ApiError> {
    let site = Query::site(value)?;
    params.may_read(app, &site)?;
    let counts = app.measure.counts(&*app.store, &site, now).await?;
    let context = app.measure.context(&*app.store, &site, &counts, Query::asks_all(value), now).await?;
    Ok((counts, context))
}

/// Whether `format`, or else the header `Accept`, asks for CSV.
pub(crate) fn wants_csv(params: &Params, headers: &HeaderMap) -> Result<bool, Refusal> {
    match params.get("format") {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(_) => Err(Refusal::new(Code::InvalidQuery, "format must be json or csv")),
        None => {
            let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
            let first = accepted.flat_map(|value| value.split(',')).next();
            Ok(first.is_some_and(|kind| kind.split(';').next().unwrap_or_default().trim() == "text/csv"))
        }
    }
}

pub(crate) fn as_csv(text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, text).into_response()
}
