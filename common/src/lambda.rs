//! The wiring that the Lambda functions share: one environment opens its store once, before
//! its first request, and answers only when the work is done and its metrics are written.
//!
//! [`run`] serves a router, [`run_without_store`] one that has no use of a store; cleanup, which
//! takes scheduled events besides, uses [`Environment`] itself.

mod event;

use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, Collected};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Body, Context, Error, IntoResponse, LambdaEvent, RequestExt, lambda_runtime, service_fn};
use serde::Serialize;
use tower::util::option_layer;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use crate::App;
use crate::app::Life;
use crate::collect::error_text;
use crate::config::Config;
use crate::http::{Guard, finish};
use crate::metrics::Metrics;
use crate::metrics::emf::Emf;
use crate::source::{Source, System};
use crate::telemetry;

/// What an environment holds from its start to its end.
#[derive(Debug, Clone)]
pub struct Environment {
    /// What works with the store, where one was opened.
    app: Option<App>,
    config: Config,
    metrics: Arc<Metrics>,
    emf: Arc<Emf>,
}

impl Environment {
    /// Reads the configuration and opens the store.
    ///
    /// # Errors
    /// All mistakes of the configuration, or why the store cannot be opened.
    pub async fn open() -> Result<(Self, App), Error> {
        telemetry::start_in_lambda();
        let app = async { Ok(App::open_for(Life::Function, Config::from_env()?, Arc::new(System)).await?) };
        let app = app.await.inspect_err(cannot_start)?;
        let (config, metrics) = (app.config.clone(), Arc::clone(&app.metrics));
        Ok((Self { app: Some(app.clone()), config, metrics, emf: Arc::default() }, app))
    }

    /// Reads the configuration and opens nothing.
    ///
    /// # Errors
    /// All mistakes of the configuration.
    pub fn without_store() -> Result<Self, Error> {
        telemetry::start_in_lambda();
        let parts = || Ok((Config::from_env()?, Arc::new(Metrics::new()?)));
        let (config, metrics) = parts().inspect_err(cannot_start)?;
        Ok(Self { app: None, config, metrics, emf: Arc::default() })
    }

    /// Does the work of one invocation: what it logs carries the platform's request id, and what
    /// it counted is on the standard output when it is done. The platform may freeze the
    /// environment as soon as it is answered, so nothing may be left for later.
    pub async fn invocation<T>(&self, context: &Context, work: impl Future<Output = T>) -> T {
        let id = context.request_id.as_str();
        let done = work.instrument(tracing::info_span!("invocation", request_id = id)).await;
        if let Some(app) = &self.app {
            // Costs nothing unless an event was not stored.
            app.count_not_stored().await;
        }
        if self.config.emf {
            let function = context.env_config.function_name.as_str();
            let written = self.emf.write(&self.metrics, function, id, System.now(), &mut io::stdout().lock());
            if let Err(error) = written {
                tracing::error!(%error, "metrics could not be written");
            }
        }
        done
    }

    /// Answers the requests of an API Gateway, a function URL or a load balancer by routes.
    #[must_use]
    pub fn http(
        &self,
        router: Router,
    ) -> impl Service<LambdaEvent<LambdaRequest>, Response: Serialize + Send + 'static, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static {
        let environment = self.clone();
        let guard = option_layer(self.app.as_ref().map(Guard::new));
        let routes = finish(router, guard, &self.config, &self.metrics);
        let handler = service_fn(move |request: lambda_http::Request| {
            let (environment, routes) = (environment.clone(), routes.clone());
            async move {
                let context = request.lambda_context();
                let answer = async { whole(routes.oneshot(event::from_platform(request)).await?).await };
                environment.invocation(&context, answer).await
            }
        });
        Adapter::from(handler).map_request(event::without_traps)
    }
}

/// An answer with its whole body: nothing is left to be done when it is handed over.
struct Whole(http::Response<Bytes>);

/// Text as it is, anything else in base64. The library would ask the content type which of the
/// world's encodings to decode it from, and ship tables for all of them; ours is UTF-8.
impl IntoResponse for Whole {
    fn into_response(self) -> Pin<Box<dyn Future<Output = http::Response<Body>> + Send>> {
        let answer = self.0.map(|body| match String::from_utf8(body.into()) {
            Ok(text) => Body::Text(text),
            Err(other) => Body::Binary(other.into_bytes()),
        });
        Box::pin(ready(answer))
    }
}

async fn whole(answer: Response) -> Result<Whole, Infallible> {
    let (mut parts, body) = answer.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_else(|error| {
        tracing::error!(%error, "an answer broke off");
        parts.status = http::StatusCode::INTERNAL_SERVER_ERROR;
        Bytes::new()
    });
    Ok(Whole(http::Response::from_parts(parts, body)))
}

/// Writes down why a function does not start.
#[allow(clippy::borrowed_box, reason = "as `inspect_err` has it")]
fn cannot_start(error: &Error) {
    tracing::error!(error = error_text(&**error), "the function cannot start");
}

/// Serves one function's routes to the Lambda runtime API until the platform stops.
///
/// # Errors
/// When the process cannot start, or the runtime API goes away.
pub async fn run(router: fn(App) -> Router) -> Result<(), Error> {
    let (environment, app) = Environment::open().await?;
    lambda_runtime::run(environment.http(router(app))).await
}

/// The same for routes that need the configuration and nothing else.
///
/// # Errors
/// When the process cannot start, or the runtime API goes away.
pub async fn run_without_store(router: fn(&Config) -> Router) -> Result<(), Error> {
    let environment = Environment::without_store()?;
    let router = router(&environment.config);
    lambda_runtime::run(environment.http(router)).await
}
