//! What browsers are served, and what is counted of it.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;
use tests::home::Home;
use tests::http::{Request, get};
use tests::server::Server;
use tests::wait::until;
use tests::{API, BOT, BROWSER, list, number, text};

const ROUTES: [&str; 16] = [
    "/api/v1/analytics/event",
    "/api/v1/analytics/events",
    "/api/v1/analytics/realtime",
    "/api/v1/analytics/stats",
    "/api/v1/analytics/themes",
    "/api/v1/analytics/letters",
    "/api/v1/analytics/timeline",
    "/api/v1/analytics/heatmap",
    "/api/v1/analytics/cleanup",
    "/ws/analytics",
    "/openapi.json",
    "/health",
    "/health/startup",
    "/health/live",
    "/health/ready",
    "/metrics",
];

fn is_kind(kind: Option<&str>, wanted: &str) -> bool {
    kind.is_some_and(|kind| kind.starts_with(wanted))
}

#[tokio::test]
async fn the_dashboard_runs_no_foreign_code() {
    let server = Server::new().await;
    let page = server.send(get("/").header("user-agent", BROWSER)).await;
    assert_eq!(page.status, 200);
    assert!(is_kind(page.header("content-type"), "text/html"), "{:?}", page.headers);
    assert!(page.text().to_lowercase().contains("<!doctype html"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src"), "{policy}");
    for unsafe_word in ["unsafe-eval", "unsafe-inline", "*", "http:", "https:", "data:"] {
        let scripts = policy.split(';').find(|rule| rule.trim().starts_with("script-src"));
        let scripts =
            scripts.or_else(|| policy.split(';').find(|rule| rule.trim().starts_with("default-src"))).unwrap();
        assert!(!scripts.contains(unsafe_word), "{policy}");
    }
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let page = page.text();
    let assets = named(&page);
    // A program that was built without its dashboard says how to get one.
    assert!(assets.len() >= 3 || (assets.is_empty() && page.contains("npm run build")), "{page}");
    assert!(!page.contains("//"), "nothing from elsewhere: {page}");
    for asset in assets {
        let answer = server.send(get(&*asset)).await;
        assert_eq!(answer.status, 200, "{asset}");
        assert!(answer.header("cache-control").is_some_and(|kept| kept.contains("immutable")), "{asset}");
    }
}

/// The addresses in a page's `src` and `href`, but for those within the API.
pub(crate) fn named(page: &str) -> Vec<String> {
    let parts = page.split(['"', ' ']).collect::<Vec<_>>();
    let values = parts.windows(2).filter(|pair| matches!(pair[0], "src=" | "href=")).map(|pair| pair[1].to_owned());
    values
        .filter_map(|value| value.strip_prefix('.').map(str::to_owned))
        .filter(|value| value.starts_with("/assets/"))
        .collect()
}

/// Compressed once, not twice, and the same for every client.
#[tokio::test]
async fn the_dashboard_in_every_form() {
    let server = Server::new().await;
    let page = server.send(get("/")).await;
    assert_eq!(page.header("content-encoding"), None);
    for path in named(&page.text()).into_iter().chain(["/".into()]) {
        let plain = server.send(get(&*path)).await;
        let packed = server.send(get(&*path).header("accept-encoding", "gzip")).await;
        assert_eq!(plain.header("vary"), Some("accept-encoding"), "{path}");
        let unpacked = match packed.header("content-encoding") {
            Some("gzip") => {
                let mut unpacked = Vec::new();
                GzDecoder::new(&*packed.body).read_to_end(&mut unpacked).unwrap();
                unpacked
            }
            other => {
                assert_eq!(other, None, "{path}");
                packed.body
            }
        };
        assert!(unpacked == plain.body, "{path} is another file when it is compressed");
        let tag = plain.header("etag").unwrap();
        let known = server.send(get(&*path).header("if-none-match", tag).header("accept-encoding", "br")).await;
        assert_eq!((known.status, known.body.len()), (304, 0), "{path}");
    }
}

#[tokio::test]
async fn the_tracker() {
    let server = Server::new().await;
    let script = server.send(get("/script.js")).await;
    assert_eq!(script.status, 200);
    assert!(script.header("content-type").is_some_and(|kind| kind.contains("javascript")), "{:?}", script.headers);
    assert!(script.text().contains("/event"), "{}", script.text());
}

#[tokio::test]
async fn every_route_is_described() {
    let server = Server::new().await;
    let answer = server.send(get("/openapi.json")).await;
    assert_eq!(answer.status, 200);
    assert!(is_kind(answer.header("content-type"), "application/json"), "{:?}", answer.headers);
    let described = answer.json();
    assert!(text(&described["openapi"]).starts_with("3."), "{described}");
    let base = described["servers"][0]["url"].as_str().unwrap_or_default().trim_end_matches('/').to_owned();
    let paths: Vec<_> = described["paths"]
        .as_object()
        .unwrap()
        .keys()
        .flat_map(|path| [path.clone(), format!("{base}{path}")])
        .collect();
    for route in ROUTES {
        assert!(paths.iter().any(|path| path == route), "{route} is not among {paths:?}");
    }
    let parameters = described["paths"].to_string();
    for name in ["period", "date", "limit", "offset", "cursor", "hours", "page_url", "site"] {
        assert!(parameters.contains(&format!("\"name\":\"{name}\"")), "no parameter {name}");
    }
}

#[tokio::test]
async fn health() {
    let server = Server::new().await;
    for path in ["/health", "/health/startup", "/health/live", "/health/ready"] {
        let answer = server.send(get(path)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.json().is_object(), "{path}");
    }
    let metrics = server.send(get("/metrics")).await;
    assert!(is_kind(metrics.header("content-type"), "text/plain"), "{:?}", metrics.headers);
}

fn site() -> Home {
    let home = Home::new();
    for name in ["about.html", "docs/index.html", "missing/none.txt"] {
        home.write(&format!("site/{name}"), format!("<!doctype html><title>{name}</title>"));
    }
    home.write("site/style.css", "body { margin: 0 }");
    home.write("site/data.json", "{}");
    home.write("secret.txt", "outside of the site");
    home
}

async fn page_views(server: &Server) -> u64 {
    number(&server.data("/stats").await["page_views"])
}

/// Successful HTML pages that people ask for are counted; assets, bots, failures, people who
/// opted out and the API are not.
#[tokio::test]
async fn a_site_of_ones_own() {
    tests::clock::away_from_midnight().await;
    let home = site();
    let server = home.serve_with(&["serve", "--static-dir", "site"]).await;
    let browser = |path: &str| get(path).header("user-agent", BROWSER).header("accept", "text/html");
    let ask = async |request: Request, status: u16| {
        let what = format!("{} {:?}", request.path, request.headers);
        let answer = server.send(request).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        answer
    };
    let page =
        ask(browser("/about.html?theme=ai&token=x").header("referer", "https://search.example/?q=me"), 200).await;
    assert!(page.text().contains("about.html") && is_kind(page.header("content-type"), "text/html"));
    ask(browser("/docs/"), 200).await;
    until("both views are counted", async || match page_views(&server).await {
        2 => Ok(()),
        other => Err(other),
    })
    .await;

    let style = ask(browser("/style.css"), 200).await;
    assert!(is_kind(style.header("content-type"), "text/css"));
    ask(browser("/data.json"), 200).await;
    ask(browser("/nowhere.html"), 404).await;
    ask(get("/about.html").header("user-agent", BOT), 200).await;
    ask(get("/about.html"), 200).await;
    ask(browser("/about.html").header("dnt", "1"), 200).await;
    ask(browser("/about.html").header("sec-gpc", "1"), 200).await;
    ask(browser(&format!("{API}/realtime")), 200).await;
    for path in
        ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/docs/../../secret.txt", "/%5c..%5csecret.txt"]
    {
        let answer = server.send(browser(path)).await;
        assert!(!answer.text().contains("outside"), "{path}");
        assert!(answer.status >= 400, "{path}: {}", answer.status);
    }

    // Once it has ended in good order, nothing more can arrive.
    let server = server.end().await.serve().await;
    let timeline = server.data("/timeline").await;
    // The latest first; those of one millisecond are in the order of their ids.
    let mut seen: Vec<_> = list(&timeline).iter().collect();
    assert!(seen.is_sorted_by(|a, b| text(&a["created_at"]) >= text(&b["created_at"])), "{timeline}");
    if seen.len() == 2 && seen[0]["created_at"] == seen[1]["created_at"] {
        seen.sort_by_key(|event| std::cmp::Reverse(text(&event["page_url"])));
    }
    let seen: Vec<_> = seen.iter().map(|event| (text(&event["page_url"]), &event["referrer"])).collect();
    assert_eq!(seen, [("/docs", &Value::Null), ("/about.html?theme=ai", &Value::from("https://search.example/"))]);
    assert!(list(&timeline).iter().all(|event| event["event_type"] == "page_view"));
    assert_eq!(page_views(&server).await, 2);
    assert_eq!(number(&server.data("/stats").await["unique_visitors"]), 1);
}

#[tokio::test]
async fn a_site_that_is_not_there() {
    let home = Home::new();
    let finished = home.run(&["serve", "--static-dir", "nowhere"]).await;
    assert!(matches!(finished.code, Some(1 | 64)), "{:?}: {}", finished.code, finished.output());
}
