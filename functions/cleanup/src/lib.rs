//! What admins do. Deletes what is older than the retention: on a schedule, by `POST /cleanup`, by the local
//! runtime's timer and its `cleanup` sub-command. Makes and revokes share links. Exports and erases what is
//! stored of one visitor.

mod shares;
mod visitor;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use common::App;
use common::http::{Answer, ApiError, BASE_PATH};
use common::retention::{self, Report, Scheduled};
use common::store::StoreError;
use common::time::Timestamp;
use utoipa::OpenApi;

/// The most bytes of a body.
const MOST_BYTES: usize = 4 * 1024;

/// Why a run failed; in Lambda its variant is the stable error type of the invocation.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    /// The store could not be asked; the next run does what this one did not.
    #[error("cleanup: the store is unavailable")]
    StoreUnavailable(#[source] StoreError),
    /// The store failed.
    #[error("cleanup: the store failed")]
    StoreFailed(#[source] StoreError),
}

impl From<CleanupError> for lambda_runtime::Diagnostic {
    fn from(error: CleanupError) -> Self {
        let error_type = match &error {
            CleanupError::StoreUnavailable(_) => "StoreUnavailable",
            CleanupError::StoreFailed(_) => "StoreFailed",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

/// The scheduled cleanup as of `now`; idempotent. It waits while the clock cannot be trusted
/// ([`retention::decide`]).
///
/// # Errors
/// When the store cannot; what was deleted until then stays deleted.
pub async fn run(app: &App, now: Timestamp) -> Result<Scheduled, CleanupError> {
    // The events' times are those of other functions' clocks.
    retention::run_scheduled(app, None, now).await.map_err(|error| {
        tracing::error!(error = common::collect::error_text(&error), "cleanup failed");
        match error {
            error @ (StoreError::Unavailable { .. } | StoreError::Overloaded { .. }) => {
                CleanupError::StoreUnavailable(error)
            }
            error => CleanupError::StoreFailed(error),
        }
    })
}

/// `POST /cleanup`, and the paths of share links and of visitors' data.
pub fn router(app: App) -> Router {
    let cleanup = Router::new().route(&format!("{BASE_PATH}/cleanup"), post(cleanup));
    cleanup.merge(shares::router()).merge(visitor::router()).layer(DefaultBodyLimit::max(MOST_BYTES)).with_state(app)
}

/// The documentation of these endpoints.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(cleanup, shares::list, shares::create, shares::revoke, visitor::export, visitor::erase))]
    struct Api;
    Api::openapi()
}

/// Deletes what is older than the retention, by hand.
#[utoipa::path(
    post,
    path = "/api/v1/analytics/cleanup",
    tag = "operation",
    responses(
        (status = 200, description = "What was deleted", body = Answer<Report>),
        (status = 503, description = "UNAVAILABLE"),
    )
)]
async fn cleanup(State(app): State<App>) -> Result<Response, ApiError> {
    // A task of its own: a run that outlasts the request, or its client, comes to its end.
    let run = tokio::spawn(async move { retention::run(&app, app.now()).await });
    match run.await {
        Ok(report) => Ok(Answer::new(report?).into_response()),
        Err(error) => {
            tracing::error!(error = %error, "cleanup broke off");
            Ok(axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}
