//! What is stored of one visitor: exported, and erased. Ids stand in bodies, since addresses are in the logs of
//! proxies.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use common::App;
use common::http::{Answer, ApiError, BASE_PATH, Params};
use common::outcome::{Code, Refusal};
use common::site::Site;
use common::time::{Day, Timestamp};
use common::visitor::VisitorId;
use common::visitor_data::{Erased, StoredEvent, VisitorPage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// `POST /visitor/export` and `POST /visitor/erase`.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route(&format!("{BASE_PATH}/visitor/export"), post(export))
        .route(&format!("{BASE_PATH}/visitor/erase"), post(erase))
}

/// The visitor that is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedVisitor {
    /// The site, `default` when none is named.
    #[serde(default)]
    #[schema(pattern = "^[a-z0-9.-]{1,63}$")]
    site: Option<String>,
    /// The id that the site sent with the visitor's events.
    #[schema(format = Uuid)]
    visitor_id: String,
}

/// The visitor that is meant, and where the page begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VisitorExport {
    /// The site, `default` when none is named.
    #[serde(default)]
    #[schema(pattern = "^[a-z0-9.-]{1,63}$")]
    site: Option<String>,
    /// The id that the site sent with the visitor's events.
    #[schema(format = Uuid)]
    visitor_id: String,
    /// `next_cursor` of the page before.
    #[serde(default)]
    #[schema(pattern = r"^[0-9]{1,15}\.[0-9a-f]{32}$")]
    cursor: Option<String>,
}

/// What is stored of the visitor.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VisitorData<'a> {
    /// The UTC days on which the visitor came, oldest first: also those whose events have expired, while they are
    /// kept to count distinct visitors of weeks and months.
    #[schema(value_type = Vec<String>, example = json!(["2025-12-08"]))]
    days: &'a [Day],
    /// Events, oldest first.
    events: Vec<StoredEvent<'a>>,
}

/// How to go on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VisitorDataMeta {
    /// How many events follow.
    count: usize,
    /// Where the next page begins; null when this is the last. A page may have few events, or none, and still a
    /// next one.
    next_cursor: Option<String>,
}

/// All that is stored of a visitor, oldest first.
#[utoipa::path(
    post,
    path = "/api/v1/analytics/visitor/export",
    tag = "operation",
    request_body(content = VisitorExport, description = "The visitor"),
    responses(
        (status = 200, description = "A page of at most 100 events", body = Answer<VisitorData, VisitorDataMeta>),
        (status = 400, description = "INVALID_JSON, INVALID_VISITOR, INVALID_SITE or INVALID_CURSOR"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn export(State(app): State<App>, params: Params, body: Bytes) -> Result<Response, ApiError> {
    let asked: VisitorExport = serde_json::from_slice(&body).map_err(|_| malformed("site and cursor"))?;
    let (site, visitor) = named(&app, &params, asked.site.as_deref(), &asked.visitor_id)?;
    let after = asked.cursor.as_deref().map(|text| {
        place(text)
            .ok_or_else(|| Refusal::new(Code::InvalidCursor, "cursor must be a next_cursor that an earlier page gave"))
    });
    let page = app.export_visitor(&site, visitor, after.transpose()?, caller(&params)).await?;
    let VisitorPage { days, events, next } = &page;
    let exported = VisitorData { days, events: events.iter().map(StoredEvent::from).collect() };
    let next_cursor = next.map(|(at, id)| format!("{}.{}", at.millis(), id.simple()));
    Ok(Answer::with_meta(exported, VisitorDataMeta { count: events.len(), next_cursor }).into_response())
}

/// Erases all that is stored of a visitor. A call that broke off is completed by repeating it.
#[utoipa::path(
    post,
    path = "/api/v1/analytics/visitor/erase",
    tag = "operation",
    request_body(content = NamedVisitor, description = "The visitor"),
    responses(
        (status = 200, description = "What was erased, nothing of a visitor who is not known", body = Answer<Erased>),
        (status = 400, description = "INVALID_JSON, INVALID_VISITOR or INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After: something remains"),
    )
)]
pub(crate) async fn erase(State(app): State<App>, params: Params, body: Bytes) -> Result<Response, ApiError> {
    let asked: NamedVisitor = serde_json::from_slice(&body).map_err(|_| malformed("site"))?;
    let (site, visitor) = named(&app, &params, asked.site.as_deref(), &asked.visitor_id)?;
    let by = caller(&params).to_owned();
    // A task of its own: one that outlasts the request, or its client, comes to its end.
    let erased = tokio::spawn(async move { app.erase_visitor(&site, visitor, &by).await });
    match erased.await {
        Ok(erased) => Ok(Answer::new(erased?).into_response()),
        Err(error) => {
            tracing::error!(error = %error, "erasing a visitor's data broke off");
            Ok(axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}

fn malformed(optional: &str) -> Refusal {
    Refusal::new(
        Code::InvalidJson,
        format!("the body must be a JSON object with visitor_id and, optionally, {optional}"),
    )
}

fn caller(params: &Params) -> &str {
    params.caller().map_or("", |caller| caller.name())
}

fn named(app: &App, params: &Params, site: Option<&str>, visitor: &str) -> Result<(Site, VisitorId), Refusal> {
    let site = params.site_named(app, site)?;
    let visitor = VisitorId::parse(visitor)
        .ok_or_else(|| Refusal::new(Code::InvalidVisitor, "visitor_id must be a UUID, as it was sent with events"))?;
    Ok((site, visitor))
}

fn place(text: &str) -> Option<(Timestamp, Uuid)> {
    let (at, id) = text.split_once('.')?;
    Some((Timestamp::from_millis(at.parse().ok()?), Uuid::try_parse(id).ok()?))
}
