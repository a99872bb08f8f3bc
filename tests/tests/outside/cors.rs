//! Which pages may ask and send.

use serde_json::json;
use tests::answer::Answer;
use tests::home::Home;
use tests::http::{get, post, request};
use tests::server::Server;
use tests::{API, uuid};

const CV: &str = "https://cv.example";

/// What pages ask for that use tools such as Sentry, OpenTelemetry, Datadog and Elastic, and others.
const OBSERVED: &str = "baggage,content-type,elastic-apm-traceparent,sentry-trace,traceparent,tracestate,\
                        x-b3-traceid,x-datadog-origin,x-datadog-trace-id,x-made-up,x-visitor-id";

async fn preflight(server: &Server, origin: &str) -> Answer {
    let asked = request("OPTIONS", format!("{API}/event"))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", OBSERVED);
    server.send(asked).await
}

fn allowed(answer: &Answer, header: &str) -> String {
    answer.header(&format!("access-control-allow-{header}")).unwrap_or_default().to_lowercase()
}

#[tokio::test]
async fn any_origin_without_credentials() {
    let server = Server::new().await;
    let answer = preflight(&server, CV).await;
    assert!((200..300).contains(&answer.status), "{}", answer.status);
    assert!(["*", CV].contains(&&*allowed(&answer, "origin")), "{:?}", answer.headers);
    assert_ne!(allowed(&answer, "credentials"), "true");
    let methods = allowed(&answer, "methods");
    assert!(methods == "*" || methods.contains("post"), "{methods}");
    assert_eq!(allowed(&answer, "headers"), OBSERVED);
    assert_eq!(answer.header("access-control-max-age"), Some("86400"));

    for request in [
        get(format!("{API}/realtime")),
        post("/event", &json!({"event_type": "scroll", "visitor_id": uuid()})),
        post("/event", &json!({})),
        get(format!("{API}/nothing")),
    ] {
        let answer = server.send(request.header("origin", CV)).await;
        assert!(["*", CV].contains(&&*allowed(&answer, "origin")), "{}: {:?}", answer.status, answer.headers);
        assert_ne!(allowed(&answer, "credentials"), "true");
    }
}

#[tokio::test]
async fn listed_origins_with_credentials() {
    let server = Home::new().env("ANALYTICS_ALLOWED_ORIGINS", "https://cv.example,http://localhost:3000").serve().await;
    for origin in [CV, "http://localhost:3000"] {
        for answer in [
            preflight(&server, origin).await,
            server.send(get(format!("{API}/realtime")).header("origin", origin)).await,
        ] {
            assert_eq!(allowed(&answer, "origin"), origin);
            assert_eq!(allowed(&answer, "credentials"), "true");
            let vary = answer.headers.iter().filter(|(name, _)| name == "vary");
            assert!(
                vary.flat_map(|(_, value)| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case("origin"))
            );
        }
        let answer = preflight(&server, origin).await;
        assert_eq!(allowed(&answer, "headers"), OBSERVED, "not * with credentials");
        assert_eq!(answer.header("access-control-max-age"), Some("86400"));
    }
    for origin in ["https://evil.example", "http://cv.example", "null", "https://cv.example.evil.example"] {
        for answer in [
            preflight(&server, origin).await,
            server.send(get(format!("{API}/realtime")).header("origin", origin)).await,
        ] {
            let granted = allowed(&answer, "origin");
            assert!(granted != "*" && granted != origin, "{origin}: {granted}");
        }
    }
}
