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

/// Every route of the description, so that none can be left out.
#[tokio::test]
async fn without_a_token_only_events_probes_and_the_pages_files_are_served() {
    let secret = |scopes: &str, sites: &[common::site::Site], byte| {
        let scopes = scopes.split(' ').map(|scope| scope.parse().unwrap()).collect();
        let sites = sites.iter().cloned().collect();
        common::access::Entry::new(format!("{byte}"), scopes, &sites, &[byte; 32])
    };
    let (all, entry) = secret("read export", &[], 1);
    let (other, of_other) = secret("read export admin", &[common::site::Site::parse("other").unwrap()], 2);
    let (export, only_export) = secret("export", &[], 3);
    let tokens = serde_json::to_string(&[entry, of_other, only_export]).unwrap();
    let site = Site::with(&[("ANALYTICS_READ_AUTH", "token"), ("ANALYTICS_TOKENS", &tokens)], false).await;
    let document: Value = serde_json::from_str(&text(site.get("/openapi.json").await).await).unwrap();
    let mut closed = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let ask = async |headers: &[(&str, &str)]| site.ask(method.clone(), path, headers, "").await;
            let open = path.starts_with("/health")
                || ["/openapi.json", "/api/v1/analytics/event", "/api/v1/analytics/events"].contains(&&**path);
            let response = ask(&[]).await;
            assert_eq!(response.status() == 401, !open, "{method} {path}");
            if open {
                continue;
            }
            closed += 1;
            assert_eq!(response.headers()["www-authenticate"], "Bearer", "{path}");
            let body = text(response).await;
            let plausible = path.starts_with("/api/v1/stats/") || path.starts_with("/api/v2/");
            assert_eq!(body.contains("UNAUTHORIZED"), !plausible, "{path}: {body}");
            assert_eq!(ask(&[("authorization", "Bearer wrong")]).await.status(), 401, "{path}");
            assert_eq!(ask(&[("authorization", &export)]).await.status(), 401, "{path}: no scheme");
            let (all, export) = (format!("Bearer {all}"), format!("Bearer {export}"));
            let response = ask(&[("authorization", &all)]).await;
            let allowed = response.status().as_u16();
            let is_admin = path.ends_with("/cleanup") || path.contains("/shares") || method == Method::PUT;
            assert_eq!(allowed == 403, is_admin, "{path}: {allowed}");
            // Plausible's paths answer 401 by themselves where no site is named.
            assert!(!response.headers().contains_key("www-authenticate"), "{path}: {allowed}");
            let exported = ask(&[("authorization", &export)]).await.status().as_u16();
            assert_eq!(exported == 403, !path.contains("/export/"), "{path}: {exported}");
        }
    }
    assert!(closed > 15, "{closed}");
    let other = format!("Bearer {other}");
    let bearer = [("authorization", &*other)];
    for path in ["realtime", "stats", "themes", "letters", "timeline", "heatmap", "export/themes"] {
        let path = format!("/api/v1/analytics/{path}");
        assert_eq!(site.ask(Method::GET, &path, &bearer, "").await.status(), 403, "{path}");
        assert_eq!(site.ask(Method::GET, &format!("{path}?site=other"), &bearer, "").await.status(), 200, "{path}");
    }
    for path in ["query", "query/funnel", "query/retention"] {
        let path = format!("/api/v1/analytics/{path}");
        let answer = site.ask(Method::POST, &path, &bearer, r#"{"site":"default"}"#).await;
        assert_eq!(answer.status(), 403, "{path}");
    }
    assert_eq!(site.get("/ws/analytics").await.status(), 401);
    let subprotocol = [("sec-websocket-protocol", &*format!("maicivy, {}", other.replace("Bearer ", "bearer.")))];
    assert_eq!(site.ask(Method::GET, "/ws/analytics", &subprotocol, "").await.status(), 403);
    assert_eq!(site.ask(Method::GET, "/ws/analytics?site=other", &subprotocol, "").await.status(), 400, "no handshake");
    let plausible = site.ask(Method::GET, "/api/v1/stats/aggregate?site_id=default", &bearer, "").await;
    assert_eq!(plausible.status(), 401, "as Plausible has it");
    assert_eq!(site.ask(Method::GET, "/metrics", &bearer, "").await.status(), 403);
    append(&site.app, "other", 1).await;
    append(&site.app, "default", 1).await;
    let (all, listed) = (format!("Bearer {all}"), "/api/v1/analytics/sites");
    for (token, sites) in [(&all, 2), (&other, 1)] {
        let list = text(site.ask(Method::GET, listed, &[("authorization", token)], "").await).await;
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["data"].as_array().unwrap().len(), sites, "{list}");
    }
    let event = site.ask(Method::POST, "/api/v1/analytics/event", &[], r#"{"event_type":"scroll"}"#).await;
    assert_eq!(event.status(), 201);
    for path in ["/", "/dashboard", "/script.js", "/mcv.js"] {
        assert_eq!(site.get(path).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_route_outside_of_the_check_reads_no_site() {
    let site = Site::with(&[], false).await;
    for path in ["stats", "timeline", "sites?site=default"] {
        let path = format!("/api/v1/analytics/{path}");
        assert_eq!(site.get(&path).await.status(), 200, "{path}");
        let routes = stats::router(site.app.clone())
            .merge(timeline::router(site.app.clone()))
            .merge(query::router(site.app.clone()));
        let response = routes.oneshot(Request::get(&path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 403, "{path}");
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

#[tokio::test]
async fn rates_are_limited_by_event_and_by_question() {
    let vars = [("ANALYTICS_RATE_LIMIT", "10"), ("ANALYTICS_READ_LIMIT", "3")];
    let site = Site::with(&vars, false).await;
    let batch = |events: usize| format!("[{}]", vec![r#"{"event_type":"scroll"}"#; events].join(","));
    let send = async |events: usize| site.ask(Method::POST, "/api/v1/analytics/events", &[], &batch(events)).await;
    assert_eq!(send(8).await.status(), 200);
    let limited = send(5).await;
    assert_eq!(limited.status(), 429);
    assert!(limited.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 1);
    assert!(text(limited).await.contains("RATE_LIMITED"));
    let event = site.ask(Method::POST, "/api/v1/analytics/event", &[], r#"{"event_type":"scroll"}"#).await;
    assert_eq!(event.status(), 201, "the refused batch took only its entrance fee");
    for status in [200, 200, 200, 429] {
        assert_eq!(site.get("/api/v1/analytics/stats").await.status(), status);
    }
    assert_eq!(site.get("/health").await.status(), 200);
    let limited = |kind| site.app.metrics.rate_limited_requests_total.with_label_values(&[kind]).get();
    assert_eq!((limited("events"), limited("reads")), (1, 1));
    assert_eq!(site.rejected_by_the_limit(), 5, "all events of the refused batch");
    assert_eq!(site.app.metrics.ingest_received_total.get(), 8 + 5 + 1);
}

/// Questions that scan columns wait for their client's turn, and no others.
#[tokio::test]
async fn expensive_questions_wait_for_their_turn() {
    const PEER: [u8; 4] = [192, 0, 2, 1];
    let site = Site::with(&[], false).await;
    let network = Network::new(Some(PEER.into()));
    let mut held = Vec::new();
    for _ in 0..MOST {
        held.push(Arc::clone(&site.services.turns).turn(network).await);
    }
    for cheap in ["/api/v1/analytics/stats", "/api/v1/analytics/letters", "/api/v1/analytics/realtime", "/health"] {
        assert_eq!(site.get(cheap).await.status(), 200, "{cheap}");
    }
    let expensive = [
        (Method::GET, "/api/v1/analytics/themes"),
        (Method::GET, "/api/v1/analytics/timeline"),
        (Method::GET, "/api/v1/analytics/heatmap"),
        (Method::POST, "/api/v1/analytics/query"),
        (Method::POST, "/api/v1/analytics/query/funnel"),
        (Method::GET, "/api/v1/analytics/export/visitors"),
        (Method::POST, "/api/v2/query"),
        (Method::GET, "/api/v1/stats/breakdown?site_id=a"),
    ];
    let answers = async {
        let all = expensive.iter().map(|(method, path)| site.ask(method.clone(), path, &[], "{}"));
        futures_util::future::join_all(all).await
    };
    let release = async {
        while site.services.turns.open(network) < MOST + expensive.len() {
            tokio::task::yield_now().await;
        }
        let other = site.ask_from("192.0.2.2", Method::GET, "/api/v1/analytics/heatmap", &[], "").await;
        assert_eq!(other.status(), 200, "another client does not wait");
        assert_eq!(site.services.turns.open(network), MOST + expensive.len(), "none went ahead");
        drop(held);
    };
    let (answers, ()) = tokio::join!(answers, release);
    assert!(answers.iter().all(|answer| matches!(answer.status().as_u16(), 200 | 400 | 401)), "{answers:?}");
    assert_eq!(site.services.turns.open(network), 0);
}

/// What scans columns costs more than what reads totals, in whichever format it is asked.
#[tokio::test]
async fn expensive_questions_cost_more() {
    for (method, path, answered) in [
        (Method::GET, "/api/v1/analytics/stats", 10),
        (Method::GET, "/api/v1/analytics/themes", 5),
        (Method::GET, "/api/v1/analytics/heatmap", 2),
        (Method::POST, "/api/v1/analytics/query", 5),
        (Method::POST, "/api/v2/query", 5),
        (Method::GET, "/api/v1/stats/breakdown?site_id=a", 5),
    ] {
        let site = Site::with(&[("ANALYTICS_READ_LIMIT", "10")], false).await;
        let mut until_refused = 0;
        while site.ask(method.clone(), path, &[], "{}").await.status() != 429 {
            until_refused += 1;
        }
        // A slow machine gives back a token in six seconds.
        assert!((answered..=answered + 1).contains(&until_refused), "{path}: {until_refused}");
    }
}

/// A provider gives one customer 65,536 networks.
#[tokio::test]
async fn the_networks_of_one_customer_share_sixteen_budgets() {
    let site = Site::with(&[("ANALYTICS_READ_LIMIT", "2")], false).await;
    let mut answered = 0;
    for network in 0..40 {
        let peer = format!("2001:db8:1:{network:x}::1");
        let answer = site.ask_from(&peer, Method::GET, "/api/v1/analytics/stats", &[], "").await;
        answered += u32::from(answer.status() == 200);
    }
    // A slow machine gives back a token in two seconds.
    assert!((32..36).contains(&answered), "{answered}");
    let other = site.ask_from("2001:db8:2::1", Method::GET, "/api/v1/analytics/stats", &[], "").await;
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn large_events_cost_more() {
    let site = Site::with(&[("ANALYTICS_RATE_LIMIT", "20")], false).await;
    let event = |bytes| {
        let pad = "x".repeat(bytes);
        format!(r#"{{"event_type":"scroll","event_data":{{"pad":"{pad}"}}}}"#)
    };
    let send = async |path: &str, body: &str| {
        site.ask(Method::POST, &format!("/api/v1/analytics{path}"), &[], body).await.status().as_u16()
    };
    // 4 tokens each, and 4 are left.
    for _ in 0..4 {
        assert_eq!(send("/event", &event(7_000)).await, 201);
    }
    assert_eq!(send("/events", &format!("[{},{}]", event(7_000), event(1))).await, 429, "five of four");
    assert_eq!(send("/event", &event(1)).await, 201, "the refused batch took only its entrance fee");
}

#[tokio::test]
async fn probes_and_paths_that_lead_nowhere_are_limited() {
    let site = Site::with(&[("ANALYTICS_READ_LIMIT", "3")], true).await;
    for status in [404, 404, 404, 429, 429] {
        assert_eq!(site.get("/wp-login.php").await.status(), status);
    }
    assert_eq!(site.get("/openapi.json").await.status(), 429);
    assert_eq!(site.get("/cv.html").await.status(), 200, "what is there is served");
    for probe in 0..30 {
        let path = ["/health", "/metrics", "/health/live"][probe % 3];
        assert_eq!(site.get(path).await.status(), 200, "{path}");
    }
    assert_eq!(site.get("/health").await.status(), 429);
}

/// Guessing is bounded also where nothing else is.
#[tokio::test]
async fn refused_tokens_are_limited() {
    let site = Site::with(&[("ANALYTICS_READ_LIMIT", "3"), ("ANALYTICS_READ_AUTH", "token")], false).await;
    for status in [401, 401, 401, 429, 429] {
        let bearer = [("sec-websocket-protocol", "maicivy, bearer.guess")];
        assert_eq!(site.ask(Method::GET, "/ws/analytics", &bearer, "").await.status(), status);
    }
}

/// Invented sites used to lock out every other one for ever.
#[tokio::test]
async fn default_and_listed_sites_fit_whatever_was_invented() {
    async fn post(site: &Site, name: &str) -> u16 {
        let event = format!(r#"{{"event_type":"scroll","site":"{name}"}}"#);
        site.ask(Method::POST, "/api/v1/analytics/event", &[], &event).await.status().as_u16()
    }
    async fn full(vars: &[(&str, &str)]) -> Site {
        let site = Site::with(vars, false).await;
        for number in 0..common::site::Site::MOST {
            append(&site.app, &format!("invented-{number}"), 1).await;
        }
        site
    }
    let site = full(&[]).await;
    assert_eq!(post(&site, "default").await, 201);
    assert_eq!(post(&site, "default").await, 201);
    assert_eq!(post(&site, "one-more").await, 400);
    let site = full(&[("ANALYTICS_SITES", "mine.example")]).await;
    assert_eq!(post(&site, "mine.example").await, 201);
    assert_eq!(post(&site, "invented-1").await, 400);
}

#[tokio::test]
async fn a_batch_larger_than_the_bucket_takes_all_of_it() {
    let site = Site::with(&[("ANALYTICS_RATE_LIMIT", "10")], false).await;
    let batch = format!("[{}]", vec![r#"{"event_type":"scroll"}"#; 50].join(","));
    assert_eq!(site.ask(Method::POST, "/api/v1/analytics/events", &[], &batch).await.status(), 200);
    let event = site.ask(Method::POST, "/api/v1/analytics/event", &[], r#"{"event_type":"scroll"}"#).await;
    assert_eq!(event.status(), 429);
    assert_eq!(site.rejected_by_the_limit(), 1);
    assert_eq!(site.app.metrics.ingest_received_total.get(), 51);
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

/// Whatever way an event arrives, its sender is charged.
#[tokio::test]
async fn page_views_are_charged_to_their_sender() {
    let site = Site::with(&[("ANALYTICS_RATE_LIMIT", "5")], true).await;
    for _ in 0..20 {
        assert_eq!(site.get("/cv.html").await.status(), 200, "the page is served all the same");
    }
    assert_eq!(site.page_views().await, 5);
    let limited = site.app.metrics.rate_limited_requests_total.with_label_values(&["events"]).get();
    assert_eq!(limited, 15);
    assert_eq!(site.rejected_by_the_limit(), 15);
    assert_eq!(site.app.metrics.ingest_received_total.get(), 20);
}
