//! All routes, and the layers around them.
//!
//! Outermost first: a span, where traces are asked for; request id, access log and error envelope; panic to
//! 500; CORS; timeout ([`common::http::finish`]); rate limit; page views; who may read
//! ([`Guard`]); compression, but for answers to events, of which nearly all are short.
//! The handlers that need them identify the visitor and limit the body.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use common::http::{Guard, compression, finish};
use tower::ServiceBuilder;
use tower::layer::layer_fn;

use crate::in_flight::InFlight;
use crate::limits::Limited;
use crate::services::Services;
use crate::turns::InTurn;
use crate::{exposition, health, live, openapi, static_files, traces};

/// The whole product's router. With `root`, a folder as [`static_files::root`] has it, files from there answer what nothing else
/// does, and `/`; the dashboard is then at `/dashboard` only.
pub(crate) fn router(services: &Arc<Services>, root: Option<PathBuf>) -> Router {
    let app = &services.app;
    let sent = app.clone();
    let in_flight = layer_fn(move |inner| InFlight { inner, app: sent.clone() });
    let (asked, turns) = (app.clone(), Arc::clone(&services.turns));
    // What scans columns, or reads pages of events.
    let expensive = Router::new()
        .merge(themes::router(app.clone()))
        .merge(timeline::router(app.clone()))
        .merge(heatmap::router(app.clone()))
        .merge(query::router(app.clone()))
        .layer(layer_fn(move |inner| InTurn { inner, app: asked.clone(), turns: Arc::clone(&turns) }));
    let events = track::router(app.clone()).layer(in_flight.clone());
    let answers = Router::new()
        .merge(expensive)
        .merge(realtime::router(app.clone()))
        .merge(stats::router(app.clone()))
        .merge(letters::router(app.clone()))
        .merge(cleanup::router(app.clone()))
        .layer(ServiceBuilder::new().layer(compression()).layer(in_flight));
    let mut others = Router::new()
        .merge(live::router(Arc::clone(&services.hub)))
        .merge(openapi::router(&app.config))
        .merge(health::router(Arc::clone(services)))
        .merge(exposition::router(Arc::clone(services)))
        .merge(pages::assets(&app.config))
        .merge(pages::page_router_at("/dashboard", &app.config));
    let mut page_views = services.page_views.clone();
    match root {
        Some(root) => {
            others = others.fallback_service(static_files::service(root));
        }
        None => {
            others = others.merge(pages::page_router_at("/", &app.config));
            page_views = page_views.passing_over(["/"]);
        }
    }
    let router = others.layer(compression()).merge(answers).merge(events);
    let limits = Arc::clone(&services.limits);
    let layers = ServiceBuilder::new()
        .layer(layer_fn(move |inner| Limited { inner, limits: Arc::clone(&limits) }))
        .layer(page_views)
        .layer(Guard::new(app));
    let router = finish(router, layers, &app.config, &app.metrics);
    match app.config.otlp_endpoint {
        Some(_) => router.layer(from_fn(traces::traced)),
        None => router,
    }
}

#[cfg(test)]
mod tests;
