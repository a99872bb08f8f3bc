//! Share links: creating, listing and revoking them.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use common::App;
use common::access::{MOST_SHARES, Share, lifetime};
use common::http::{Answer, ApiError, BASE_PATH, Params};
use common::outcome::{Code, Refusal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// `GET` and `POST /shares`, `DELETE /shares/{id}`.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route(&format!("{BASE_PATH}/shares"), get(list).post(create))
        .route(&format!("{BASE_PATH}/shares/{{id}}"), delete(revoke))
}

/// The link to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewShare {
    /// The site that it is to show.
    #[schema(pattern = "^[a-z0-9.-]{1,63}$")]
    site: String,
    /// How long it lasts: hours or days, such as `12h` or `30d`, at most `3650d`; for good if it is left out.
    #[serde(default)]
    #[schema(pattern = "^[0-9]{1,5}[hd]$")]
    expires: Option<String>,
}

/// A link that was created.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Created {
    #[serde(flatten)]
    share: Share,
    /// What readers send as their bearer token. It is shown here and never again.
    token: String,
    /// What follows the dashboard's address in the link: `?site=SITE#share=TOKEN`.
    link: String,
}

/// The links to sites that the caller may read, oldest first; without their tokens, which are not stored.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/shares",
    tag = "operation",
    params(("site" = Option<String>, Query, description = "Only links to this site")),
    responses(
        (status = 200, description = "Links that have neither expired nor been revoked", body = Answer<Vec<Share>>),
        (status = 400, description = "INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn list(State(app): State<App>, params: Params) -> Result<Response, ApiError> {
    let one = params.get("site").map(|_| params.site(&app)).transpose()?;
    let mut shares = app.shares().await?;
    shares.retain(|share| {
        one.as_ref().is_none_or(|one| *one == share.site) && params.may_read(&app, &share.site).is_ok()
    });
    Ok(Answer::new(shares).into_response())
}

/// Creates a link to a site's dashboard.
#[utoipa::path(
    post,
    path = "/api/v1/analytics/shares",
    tag = "operation",
    request_body(content = NewShare, description = "The site, and how long the link lasts"),
    responses(
        (status = 201, description = "The link, with its token", body = Answer<Created>),
        (status = 400, description = "INVALID_JSON, INVALID_SITE or INVALID_SHARE, with what is allowed"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn create(State(app): State<App>, params: Params, body: Bytes) -> Result<Response, ApiError> {
    let new: NewShare = serde_json::from_slice(&body).map_err(|_| {
        Refusal::new(Code::InvalidJson, "the body must be a JSON object with site and, optionally, expires")
    })?;
    let site = params.site_named(&app, Some(&new.site))?;
    let lifetime = new.expires.as_deref().map(lifetime).transpose();
    let lifetime = lifetime.map_err(|message| Refusal::new(Code::InvalidShare, message))?;
    let (token, share) = app.share(&site, lifetime).await?.ok_or_else(|| {
        Refusal::new(Code::InvalidShare, format!("there may be at most {MOST_SHARES} share links; revoke some"))
    })?;
    let link = share.link(&token);
    Ok((StatusCode::CREATED, Answer::new(Created { share, token, link })).into_response())
}

/// Revokes a link. Every process refuses it after ten seconds at the latest.
#[utoipa::path(
    delete,
    path = "/api/v1/analytics/shares/{id}",
    tag = "operation",
    params(("id" = Uuid, Path, description = "The link's id")),
    responses(
        (status = 200, description = "The link that was revoked", body = Answer<Share>),
        (status = 404, description = "NOT_FOUND: there is no such link to a site that the caller may read"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let id = Uuid::try_parse(&id).ok();
    let mut shares = app.shares().await?.into_iter();
    let found = shares.find(|share| Some(share.id) == id && params.may_read(&app, &share.site).is_ok());
    let missing = || Refusal::new(Code::NotFound, "there is no such share link");
    let share = found.ok_or_else(missing)?;
    if !app.revoke_share(share.id).await? {
        return Err(missing().into());
    }
    Ok(Answer::new(share).into_response())
}
