//! Whether the process lives, and whether it can do its work.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use common::outcome::{Code, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

use crate::services::Services;

/// How the process is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, or `degraded` when something is missing that it can do without for a while.
    status: &'static str,
    /// The storage engine.
    engine: &'static str,
    /// The version of the program.
    version: &'static str,
    /// What is missing.
    degraded: Vec<&'static str>,
}

/// `/health` and what is below it.
pub(crate) fn router(services: Arc<Services>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/health/live", get(live))
        .route("/health/startup", get(startup))
        .route("/health/ready", get(ready))
        .with_state(services)
}

/// How the process is.
#[utoipa::path(
    get,
    path = "/health",
    tag = "operation",
    responses((status = 200, description = "It lives", body = Health))
)]
pub(crate) async fn health(State(services): State<Arc<Services>>) -> Json<Health> {
    Json(Health::of(&services))
}

/// Whether the process lives.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "operation",
    responses((status = 200, description = "It lives", body = Health))
)]
pub(crate) async fn live(State(services): State<Arc<Services>>) -> Json<Health> {
    Json(Health::of(&services))
}

/// Whether the process has started: before that, nothing answers.
#[utoipa::path(
    get,
    path = "/health/startup",
    tag = "operation",
    responses((status = 200, description = "It has started", body = Health))
)]
pub(crate) async fn startup(State(services): State<Arc<Services>>) -> Json<Health> {
    Json(Health::of(&services))
}

/// Whether it can take events and answer questions, as of a second ago at most.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "operation",
    responses(
        (status = 200, description = "It is ready", body = Health),
        (status = 503, description = "UNAVAILABLE: the store does not answer, or the process is stopping"),
    )
)]
pub(crate) async fn ready(State(services): State<Arc<Services>>) -> Result<Json<Health>, Refusal> {
    if services.stop.is_cancelled() {
        return Err(Refusal::new(Code::Unavailable, "not ready: the server is stopping"));
    }
    if services.store_health.answers().await {
        return Ok(Json(Health::of(&services)));
    }
    let engine = services.app.store.engine();
    Err(Refusal::new(Code::Unavailable, format!("not ready: the store ({engine}) cannot take events now")))
}

impl Health {
    fn of(services: &Services) -> Self {
        let degraded = services.app.store.degraded();
        Self {
            status: if degraded.is_empty() { "ok" } else { "degraded" },
            engine: services.app.store.engine(),
            version: env!("CARGO_PKG_VERSION"),
            degraded,
        }
    }
}
