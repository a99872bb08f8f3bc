//! The layers that every endpoint has, in Lambda and in the local runtime.

use std::any::Any;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tower::{Layer, Service, ServiceBuilder, layer::layer_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any as AnyValue, CorsLayer};
use tower_http::timeout::TimeoutLayer;

use crate::config::Config;
use crate::http::{BASE_PATH, Failure, Ingest};
use crate::metrics::Metrics;

/// How long a request may take: 10 s.
const TIMEOUT: Duration = Duration::from_secs(10);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Which pages may embed an answer.
pub const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The request's id where a platform gave it one.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Marks a failure whose body is its own, such as a page for people or another API's format: it is not
/// put into the envelope.
#[derive(Debug, Clone, Copy)]
pub struct ErrorPage;

/// What is left of a client's rate limit, where there is one: charges this many more events or queries,
/// or says after how many seconds it is worth trying again.
#[derive(Clone)]
pub struct Budget(pub Arc<dyn Fn(u32) -> Charge + Send + Sync>);

/// A charge on its way: others may have to be asked.
pub type Charge = Pin<Box<dyn Future<Output = Result<(), u64>> + Send>>;

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Budget")
    }
}

/// Puts the common layers around routes, and others within them. Outermost first: request id, access log and
/// error envelope; panic to 500; CORS; timeout.
pub fn finish<L>(router: Router, within: L, config: &Config, metrics: &Arc<Metrics>) -> Router
where
    L: Layer<
            Route,
            Service: Service<Request, Response = Response, Error = Infallible, Future: Send>
                         + Clone
                         + Send
                         + Sync
                         + 'static,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    // One stack, not a layer after the other: a router boxes each route's service once a call.
    let (collect_path, metrics) = (Arc::<str>::from(&*config.collect_path), Arc::clone(metrics));
    let observed =
        move |inner| Observe { inner, collect_path: Arc::clone(&collect_path), metrics: Arc::clone(&metrics) };
    router.layer(
        ServiceBuilder::new()
            .layer(layer_fn(observed))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(cors(config))
            .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT))
            .layer(within),
    )
}

/// Bodies below this size are sent as they are: they fit into one packet either way.
const WORTH_COMPRESSING: u64 = 1_024;

/// Compresses on their way out those answers that are worth it and are not compressed yet, as fonts
/// and pictures always are.
pub fn compression() -> CompressionLayer<impl Predicate> {
    let worth_it = SizeAbove::new(WORTH_COMPRESSING).and(DefaultPredicate::new());
    CompressionLayer::new().compress_when(worth_it.and(NotForContentType::const_new("font/")))
}

fn cors(config: &Config) -> CorsLayer {
    let cors = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        // Whatever is asked for: tools that observe pages add headers of their own to each request,
        // and one header that is refused refuses the event.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([X_REQUEST_ID, header::RETRY_AFTER])
        .max_age(Duration::from_secs(86_400));
    let origins: Vec<HeaderValue> = config.allowed_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        cors.allow_origin(AnyValue)
    } else {
        cors.allow_origin(AllowOrigin::list(origins)).allow_credentials(true)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the signature is the layer's")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    tracing::error!(panic = what, "a handler panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Gives requests an id, logs and times them, and puts every failure, the framework's own
/// included, into the envelope. Only the route's pattern is logged: paths and queries may
/// identify a person.
///
/// A service and not a function with `next`, which would clone everything below it for every
/// request.
#[derive(Debug, Clone)]
struct Observe<S> {
    inner: S,
    collect_path: Arc<str>,
    metrics: Arc<Metrics>,
}

impl<S, R> Service<Request> for Observe<S>
where
    S: Service<Request, Response = R>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: IntoResponse,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let seen = Seen::of(&request, &self.collect_path);
        let metrics = Arc::clone(&self.metrics);
        let response = self.inner.call(request);
        Box::pin(async move { Ok(seen.answered(response.await?.into_response(), &metrics)) })
    }
}

/// What is known of a request when its answer comes.
struct Seen {
    started: Instant,
    method: &'static str,
    route: Option<MatchedPath>,
    takes_events: bool,
    id: String,
}

impl Seen {
    fn of(request: &Request, collect_path: &str) -> Self {
        Self {
            started: Instant::now(),
            method: method_label(request.method()),
            route: request.extensions().get::<MatchedPath>().cloned(),
            takes_events: Ingest::at(request.uri().path(), collect_path).is_some(),
            id: request_id(request),
        }
    }

    fn answered(self, mut response: Response, metrics: &Metrics) -> Response {
        let status = response.status();
        let failed = status.is_client_error() || status.is_server_error();
        if failed && response.extensions_mut().remove::<ErrorPage>().is_none() {
            response = fail(response, &self.id);
        }
        if let Ok(value) = HeaderValue::from_str(&self.id) {
            response.headers_mut().insert(X_REQUEST_ID, value);
        }
        if self.takes_events {
            // Pages that only embed what allows it (COEP) send events too, and may know what became of them.
            response.headers_mut().insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        }
        let took = self.started.elapsed();
        let route = self.route.as_ref().map_or("other", MatchedPath::as_str);
        let endpoint = route.strip_prefix(BASE_PATH).unwrap_or(route);
        metrics
            .analytics_request_duration_seconds
            .with_label_values(&[endpoint, self.method, status.as_str()])
            .observe(took.as_secs_f64());
        log(&self.id, self.method, route, status, took);
        response
    }
}

/// One line of the access log: at `info` for what failed, at `debug` for what succeeded and for paths
/// that lead nowhere, which `/metrics` counts anyway, and of which a line each would cost as much as
/// answering.
fn log(request_id: &str, method: &str, route: &str, status: StatusCode, took: Duration) {
    let quiet = status.as_u16() < 400 || status == StatusCode::NOT_FOUND;
    let (status, duration_ms) = (status.as_u16(), took.as_secs_f64() * 1e3);
    if quiet {
        tracing::debug!(target: "access", request_id, method, route, status, duration_ms, "request");
    } else {
        tracing::info!(target: "access", request_id, method, route, status, duration_ms, "request");
    }
}

/// The platform's, or the client's if it is a sane one, or a new one.
fn request_id(request: &Request) -> String {
    if let Some(RequestId(id)) = request.extensions().get() {
        return id.clone();
    }
    let sane = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let sent = request.headers().get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).filter(sane);
    sent.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

fn fail(response: Response, request_id: &str) -> Response {
    let (mut parts, _) = response.into_parts();
    let failure = parts.extensions.remove::<Failure>().unwrap_or_else(|| Failure::of_status(parts.status));
    // What is no failure of ours to name, such as 422 by an extractor, is a bad request.
    if parts.status.is_client_error() && !NAMED.contains(&parts.status) {
        parts.status = StatusCode::BAD_REQUEST;
    }
    if parts.status == StatusCode::SERVICE_UNAVAILABLE {
        parts.headers.entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(parts, Body::from(failure.body(request_id)))
}

/// The client errors that have a code of their own.
const NAMED: [StatusCode; 8] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::CONFLICT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::TOO_MANY_REQUESTS,
];

/// Methods are whatever the client likes; labels are not.
pub fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
