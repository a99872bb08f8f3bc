mod access;
mod limits;

use std::path::Path;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use common::App;
use common::http::{Network, PeerAddress};
use common::source::System;
use http::Method;
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;
use crate::live::Timing;
use crate::testing::{app_with, append};
use crate::turns::MOST;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

struct Site {
    app: App,
    services: Arc<Services>,
    router: Router,
    files: TempDir,
}

impl Site {
    async fn with(vars: &[(&str, &str)], own: bool) -> Self {
        let (app, files) = app_with(vars, Arc::new(System)).await;
        let services = Arc::new(Services::start(app.clone(), Timing::default()));
        let root = files.path().join("site");
        std::fs::create_dir(&root).unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
        write("index.html", "<h1>my own</h1>");
        write("cv.html", &"<p>cv</p>".repeat(1_000));
        write("x.css", "p{}");
        let router = router(&services, own.then_some(root));
        Self { app, services, router, files }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        self.ask_from("192.0.2.1", method, path, headers, body).await
    }

    async fn ask_from(&self, peer: &str, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = Request::builder().method(method).uri(path).header("user-agent", BROWSER);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(PeerAddress(peer.parse().unwrap()));
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path, &[], "").await
    }

    fn rejected_by_the_limit(&self) -> u64 {
        self.app.metrics.ingest_outcomes_total.with_label_values(&["rejected", "RATE_LIMITED"]).get()
    }

    async fn page_views(&self) -> u64 {
        self.services.page_views.drain().await;
        let day = common::period::PeriodKey::of(common::period::Period::Day, self.app.now().day());
        self.app.store.totals(&common::site::Site::default(), day).await.unwrap().page_views
    }

    fn outcomes(&self, outcome: &str, reason: &str) -> u64 {
        self.app.metrics.ingest_outcomes_total.with_label_values(&[outcome, reason]).get()
    }
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn everything_is_there() {
    let site = Site::with(&[], false).await;
    for path in [
        "/",
        "/dashboard",
        "/openapi.json",
        "/health",
        "/health/live",
        "/health/startup",
        "/health/ready",
        "/metrics",
        "/api/v1/analytics/realtime",
        "/api/v1/analytics/stats",
        "/api/v1/analytics/themes",
        "/api/v1/analytics/letters",
        "/api/v1/analytics/timeline",
        "/api/v1/analytics/heatmap",
    ] {
        assert_eq!(site.get(path).await.status(), 200, "{path}");
    }
    let ready: Value = serde_json::from_str(&text(site.get("/health/ready").await).await).unwrap();
    assert_eq!((&ready["status"], &ready["engine"]), (&"ok".into(), &"sqlite".into()));
    assert_eq!(site.page_views().await, 0, "these are no pages of the site's");
}

#[tokio::test]
async fn every_failure_is_in_the_envelope() {
    let site = Site::with(&[], true).await;
    for (method, path, status, code) in [
        (Method::GET, "/nowhere", 404, "NOT_FOUND"),
        (Method::POST, "/nowhere", 404, "NOT_FOUND"),
        (Method::GET, "/../../etc/passwd", 404, "NOT_FOUND"),
        (Method::GET, &format!("/{}", "x".repeat(5_000)), 404, "NOT_FOUND"),
        (Method::GET, &"/a".repeat(5_000), 404, "NOT_FOUND"),
        (Method::GET, "/api/v1/analytics/nothing", 404, "NOT_FOUND"),
        (Method::DELETE, "/api/v1/analytics/stats", 405, "METHOD_NOT_ALLOWED"),
        (Method::GET, "/ws/analytics", 400, "INVALID_EVENT"),
        (Method::GET, "/ws/analytics?site=A%20B", 400, "INVALID_SITE"),
    ] {
        let response = site.ask(method.clone(), path, &[], "").await;
        assert_eq!(response.status(), status, "{method} {path}");
        let body: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!((&body["success"], &body["code"]), (&false.into(), &code.into()), "{method} {path}");
        assert!(body["request_id"].is_string());
    }
}

#[tokio::test]
async fn readiness_goes_with_the_store_and_with_the_process() {
    let site = Site::with(&[], false).await;
    assert_eq!(site.get("/health/ready").await.status(), 200);
    site.services.stop.cancel();
    assert_eq!(site.get("/health/ready").await.status(), 503);
    assert_eq!(site.get("/health/live").await.status(), 200);
    let site = Site::with(&[], false).await;
    site.app.store.close().await;
    let response = site.get("/health/ready").await;
    assert_eq!(response.status(), 503);
    let body = text(response).await;
    assert!(body.contains("UNAVAILABLE") && body.contains("sqlite"), "{body}");
}

#[tokio::test]
async fn an_own_site_is_served_and_its_pages_counted() {
    let site = Site::with(&[], true).await;
    assert_eq!(text(site.get("/").await).await, "<h1>my own</h1>");
    assert!(text(site.get("/dashboard").await).await.contains("maicivy"));
    assert_eq!(site.page_views().await, 1);
    let theme = [("referer", "https://search.example/?q=secret&ref=a"), ("sec-fetch-dest", "document")];
    let page = site.ask(Method::GET, "/cv.html?theme=backend&token=secret", &theme, "").await;
    let modified = page.headers()["last-modified"].to_str().unwrap().to_owned();
    assert_eq!(site.page_views().await, 2);
    let again = site.ask(Method::GET, "/cv.html", &[("if-modified-since", &modified)], "").await;
    assert_eq!(again.status(), 304);
    assert_eq!(site.page_views().await, 3);
    for path in ["/x.css", "/nowhere", "/dashboard", "/assets/maicivy/none.js"] {
        site.get(path).await;
    }
    site.ask(Method::HEAD, "/cv.html", &[], "").await;
    assert_eq!(site.page_views().await, 3);
    let events = site.app.store.timeline(&Default::default(), common::store::TimelineFrom::all(0), 10).await.unwrap();
    let event = events.iter().find(|event| event.referrer.is_some()).unwrap();
    assert_eq!(event.page_url.as_ref().unwrap().as_str(), "/cv.html?theme=backend");
    assert_eq!(event.referrer.as_ref().unwrap().as_str(), "https://search.example/?ref=a");
    let (now, any) = (site.app.now(), common::time::Day::from_number(0));
    let themes =
        site.app.measure.themes(&*site.app.store, &Default::default(), any..now.day().plus(2), 5, now).await.unwrap();
    assert_eq!(themes.rows, [("backend".to_owned(), 1)]);
}

#[tokio::test]
async fn bots_and_those_who_opted_out_are_filtered_and_counted_as_such() {
    let site = Site::with(&[], true).await;
    for headers in [[("user-agent", "Googlebot/2.1")], [("dnt", "1")], [("sec-gpc", "1")]] {
        let mut request = Request::get("/").header("user-agent", BROWSER);
        for (name, value) in headers {
            request.headers_mut().unwrap().insert(name, value.parse().unwrap());
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(PeerAddress("192.0.2.1".parse().unwrap()));
        assert_eq!(site.router.clone().oneshot(request).await.unwrap().status(), 200);
    }
    assert_eq!(site.page_views().await, 0);
    assert_eq!((site.outcomes("filtered", "bot"), site.outcomes("filtered", "opt_out")), (1, 2));
    assert_eq!(site.app.metrics.ingest_received_total.get(), 3);
}

#[tokio::test]
async fn large_answers_are_compressed() {
    let site = Site::with(&[], true).await;
    for (encoding, path, encoded) in
        [("br", "/cv.html", true), ("gzip", "/openapi.json", true), ("br", "/", false), ("identity", "/cv.html", false)]
    {
        let response = site.ask(Method::GET, path, &[("accept-encoding", encoding)], "").await;
        let given = response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(given.as_deref(), encoded.then_some(encoding), "{path}");
    }
}

/// Their names carry a hash: each build would add endpoints.
#[tokio::test]
async fn assets_are_one_endpoint() {
    let site = Site::with(&[], false).await;
    for name in ["index-5d41402a.js", "index-7d793037.css"] {
        site.get(&format!("/assets/maicivy/{name}")).await;
    }
    let metrics = text(site.get("/metrics").await).await;
    assert!(metrics.contains(r#"endpoint="/assets/maicivy/{file}""#), "{metrics}");
    assert!(!metrics.contains("5d41402a"), "{metrics}");
}

#[tokio::test]
async fn gauges_are_fresh_at_the_scrape() {
    let site = Site::with(&[], false).await;
    append(&site.app, "a", 2).await;
    append(&site.app, "b", 1).await;
    for theme in ["/cv?theme=x", "/cv?theme=x", "/cv?theme=y"] {
        let event = format!(r#"{{"event_type":"page_view","page_url":"{theme}"}}"#);
        assert_eq!(site.ask(Method::POST, "/api/v1/analytics/event", &[], &event).await.status(), 201);
    }
    let letter = r#"{"event_type":"letter_generate","event_data":{"letter_type":"motivation"}}"#;
    site.ask(Method::POST, "/api/v1/analytics/event", &[], letter).await;
    site.app.store.cleaned(common::time::Timestamp::from_millis(5_000)).await.unwrap();
    let response = site.get("/metrics").await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let metrics = text(response).await;
    for line in [
        "maicivy_current_visitors 3",
        "maicivy_conversion_rate 0.3333333333333333",
        "maicivy_cv_theme_views{theme=\"x\"} 2",
        "maicivy_cv_theme_views{theme=\"y\"} 1",
        "maicivy_cleanup_last_success_timestamp_seconds 5",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}\n{metrics}");
    }
    assert!(Path::new(site.files.path()).exists());
}
