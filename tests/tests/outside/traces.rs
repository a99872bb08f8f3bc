//! Traces, received and read as OpenTelemetry's own schema has them.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use serde_json::json;
use tests::home::{Home, contains};
use tests::http::get;
use tests::{API, BROWSER, uuid};

/// What a receiver of OTLP has taken: headers and bodies.
type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver on loopback; answers its address.
async fn receiver(received: &Received) -> String {
    async fn take(State(received): State<Received>, headers: HeaderMap, body: Bytes) -> StatusCode {
        received.lock().unwrap().push((headers, body));
        StatusCode::OK
    }
    let routes = axum::Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

/// The value of an attribute, as text.
fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let AnyValue { value } = attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?;
    match value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

#[tokio::test]
async fn requests_are_traced_without_personal_data() {
    let received = Received::default();
    let server = Home::new()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver(&received).await)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=42")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .serve()
        .await;
    let visitor = uuid();
    let event = json!({"event_type": "page_view", "page_url": "/secret-page?ref=secret-ref", "visitor_id": visitor});
    server.store(&event).await;
    let asked = get(format!("{API}/heatmap?page_url=/secret-page"))
        .header("user-agent", BROWSER)
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    server.send(asked).await;
    server.send(get("/secret-path")).await;
    // What is left is sent when the server stops.
    server.end().await;

    let received = received.lock().unwrap();
    let (mut spans, mut bytes) = (Vec::<Span>::new(), Vec::new());
    for (headers, body) in received.iter() {
        assert_eq!(["content-type", "x-tenant"].map(|name| &headers[name]), ["application/x-protobuf", "42"]);
        bytes.extend_from_slice(body);
        for of_resource in ExportTraceServiceRequest::decode(body.clone()).unwrap().resource_spans {
            let resource = of_resource.resource.unwrap().attributes;
            assert_eq!(attribute(&resource, "service.name").as_deref(), Some("maicivy-analytics"));
            assert_eq!(attribute(&resource, "deployment.environment.name").as_deref(), Some("test"));
            spans.extend(of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans));
        }
    }
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
    for (name, status, route) in [
        (format!("POST {API}/event"), "201", format!("{API}/event")),
        (format!("GET {API}/heatmap"), "200", format!("{API}/heatmap")),
        ("GET other".to_owned(), "404", "other".to_owned()),
    ] {
        let span = of(&name);
        assert_eq!((span.kind, &span.parent_span_id[..]), (SpanKind::Server.into(), &[][..]), "{name}");
        assert_eq!(attribute(&span.attributes, "http.response.status_code").as_deref(), Some(status), "{name}");
        assert_eq!(attribute(&span.attributes, "http.route"), Some(route), "{name}");
        assert!(span.end_time_unix_nano > span.start_time_unix_nano, "{name}");
    }
    for (name, parent) in [("append", "event"), ("scan", "heatmap")] {
        let (span, method) = (of(name), if name == "append" { "POST" } else { "GET" });
        let parent = of(&format!("{method} {API}/{parent}"));
        assert_eq!((&span.trace_id, &span.parent_span_id), (&parent.trace_id, &parent.span_id), "{name}");
    }
    assert_eq!(attribute(&of("append").attributes, "events").as_deref(), Some("1"));

    for secret in [&*visitor, &visitor.replace('-', ""), "127.0.0.1", "secret", "Firefox", "page_view"] {
        assert!(!contains(&bytes, secret.as_bytes()), "{secret} is in a trace");
    }
    let client = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    assert!(!contains(&bytes, &client), "a trace of the client's is gone on with");
}

#[tokio::test]
async fn a_receiver_that_is_away_changes_nothing() {
    let server = Home::new()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .env("OTEL_BSP_SCHEDULE_DELAY", "10")
        .serve()
        .await;
    for _ in 0..3 {
        server.store(&json!({"event_type": "scroll", "visitor_id": uuid()})).await;
    }
    tests::wait::until("it is said", async || {
        let said = server.written().matches("traces cannot be sent").count();
        if said == 1 { Ok(()) } else { Err(said) }
    })
    .await;
    let home = server.end().await;
    home.run(&["verify"]).await.expect_code(0);
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_a_mistake() {
    let home = Home::new().env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
    let stderr = home.run(&["serve"]).await.expect_code(64).stderr;
    assert!(stderr.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{stderr}");
}
