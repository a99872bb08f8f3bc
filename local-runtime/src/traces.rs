//! Traces: a span for each request, with what it waited for below it, sent by OTLP (HTTP, protobuf) to
//! the receiver that `OTEL_EXPORTER_OTLP_ENDPOINT` names.
//!
//! Spans have routes, statuses and counts; no path, address, agent or visitor. Each request is a
//! trace of its own: a `traceparent` that a page sends is the same for all that a visitor does there,
//! and would link what must not be linked.
//!
//! At most 2,048 spans wait to be sent; beyond that they are dropped, and requests never wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use common::collect::error_text;
use common::http::method_label;
use common::telemetry::{SPANS, Spans};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::Instrument;
use tracing::field::Empty;
use tracing_subscriber::Layer;

/// How long a batch may take to be sent.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last spans may take when the process stops.
const LAST: Duration = Duration::from_secs(2);
/// The most bytes of an answer that are read.
const MOST_BYTES: usize = 64 * 1024;

/// Collects spans and sends them.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Reads the variables of OpenTelemetry's SDK: `OTEL_EXPORTER_OTLP_*`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`
    /// and `OTEL_RESOURCE_ATTRIBUTES`.
    ///
    /// # Errors
    /// When the endpoint is none.
    pub(crate) fn new(runtime: &Handle) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder().with_http().with_http_client(Sender::new(runtime)?).build()?;
        let service = [
            KeyValue::new("service.name", "maicivy-analytics"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ];
        let resource =
            Resource::builder_empty().with_attributes(service).with_detector(Box::new(EnvResourceDetector::new()));
        Ok(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build()))
    }

    /// What takes the spans of the process.
    pub(crate) fn spans(&self) -> Spans {
        let tracer = self.0.tracer("maicivy-analytics");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        // Threads, places in the code and times of rest tell an operator nothing.
        layer.with_threads(false).with_location(false).with_tracked_inactivity(false).with_target(false).boxed()
    }

    /// Sends what is left. The runtime must still run, and must not be what calls this.
    pub(crate) fn stop(self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// Sends batches on the process's runtime: the exporter has a thread of its own.
#[derive(Debug)]
struct Sender {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    failing: AtomicBool,
}

impl Sender {
    fn new(runtime: &Handle) -> Result<Self, ExporterBuildError> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ExporterBuildError::InternalFailure(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(https);
        Ok(Self { client, runtime: runtime.clone(), failing: AtomicBool::new(false) })
    }

    /// Logs the first failure and the first success after it.
    fn note(&self, error: Option<&HttpError>) {
        match (error, self.failing.swap(error.is_some(), Ordering::Relaxed)) {
            (Some(error), false) => {
                tracing::warn!(error = error_text(&**error), "traces cannot be sent; they are dropped")
            }
            (None, true) => tracing::info!("traces are sent again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let answer = async move {
            let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
            if !parts.status.is_success() {
                return Err(format!("the receiver answers {}", parts.status).into());
            }
            let body = Limited::new(body, MOST_BYTES).collect().await?.to_bytes();
            Ok::<_, HttpError>(http::Response::from_parts(parts, body))
        };
        // Everything that needs the runtime, timers included, has to be made on it.
        let sent = self.runtime.spawn(async move { timeout(PATIENCE, answer).await });
        let sent = match sent.await {
            Ok(Ok(sent)) => sent,
            Ok(Err(_)) => Err("the receiver does not answer".into()),
            Err(error) => Err(error.into()),
        };
        self.note(sent.as_ref().err());
        sent
    }
}

/// A span around a request: its method and route, and the answer's status.
pub(crate) async fn traced(request: Request, next: Next) -> Response {
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str);
    let span = tracing::debug_span!(
        target: SPANS,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", i64::from(response.status().as_u16()));
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}
