//! The wiring that the Lambda functions share: one environment opens its store once, before
//! its first request, and answers only when the work is done.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use lambda_http::request::RequestContext;
use lambda_http::{Context, Error};

use crate::App;
use crate::config::Config;
use crate::http::{PeerAddress, RequestId, finish};
use crate::source::System;
use crate::telemetry;

/// Reads the configuration and opens the store.
///
/// # Errors
/// All mistakes of the configuration, or why the store cannot be opened.
pub async fn open() -> Result<App, Error> {
    let config = Config::from_env()?;
    telemetry::start(config.log, None);
    Ok(App::open(config, Arc::new(System)).await?)
}

/// Serves one function's routes to the Lambda runtime API until the platform stops.
///
/// # Errors
/// When the process cannot start, or the runtime API goes away.
pub async fn run(router: fn(App) -> Router) -> Result<(), Error> {
    let app = open().await?;
    let routes = finish(router(app.clone()), &app);
    lambda_http::run(routes.layer(from_fn(platform))).await
}

/// Takes the client's address and the request's id from the platform, not from headers that
/// anybody can send.
async fn platform(mut request: Request, next: Next) -> Response {
    let address = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        Some(RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.clone(),
        _ => None,
    };
    if let Some(address) = address.and_then(|address| address.parse().ok()) {
        request.extensions_mut().insert(PeerAddress(address));
    }
    let id = request.extensions().get::<Context>().map(|context| context.request_id.clone());
    if let Some(id) = id {
        request.extensions_mut().insert(RequestId(id));
    }
    next.run(request).await
}
