//! A site of the user's own: what is served of it, what never is, and what is counted.

use tests::home::Home;
use tests::http::{Request, get};
use tests::server::Server;
use tests::wait::until;
use tests::{BROWSER, list, number, text};

fn site() -> Home {
    let home = Home::new();
    for name in ["index.html", "about.html", "projects.html", "docs/index.html", ".well-known/security.txt"] {
        home.write(&format!("site/{name}"), format!("<!doctype html><title>{name}</title>"));
    }
    for name in [".env", ".git/config", ".well-known/.key", "docs/.hidden"] {
        home.write(&format!("site/{name}"), "SECRET");
    }
    home.write("secret.txt", "SECRET");
    home
}

async fn serve(home: &Home) -> Server {
    home.serve_with(&["serve", "--static-dir", "site"]).await
}

fn browser(path: &str) -> Request {
    get(path).header("user-agent", BROWSER).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
}

/// The default store lies in the working folder, which people serve.
#[tokio::test]
async fn a_folder_that_holds_the_store_is_not_served() {
    let store = |home: &Home, path: &str| home.clone().env("ANALYTICS_STORE", format!("sqlite:{path}"));
    let home = Home::new().without("ANALYTICS_STORE").without("ANALYTICS_REDIS");
    home.write("site/index.html", "<title>site</title>");
    std::fs::create_dir(home.path().join("site/data")).unwrap();
    std::os::unix::fs::symlink("site/data", home.path().join("linked")).unwrap();
    std::os::unix::fs::symlink("site", home.path().join("site-link")).unwrap();
    std::os::unix::fs::symlink("../site/data/real.db", home.path().join("data/analytics.db")).unwrap();
    for (home, dir) in [
        (home.clone(), "."),
        (store(&home, "site/analytics.db"), "site"),
        (store(&home, "site/data/new/analytics.db"), "site"),
        (store(&home, "linked/analytics.db"), "site"),
        (store(&home, "site/data/analytics.db"), "site-link"),
        (store(&home, "data/analytics.db"), "site"),
    ] {
        let finished = home.run(&["serve", "--static-dir", dir]).await.expect_code(64);
        assert!(finished.stderr.contains("ANALYTICS_STORE"), "{}", finished.stderr);
    }
    assert!(!home.path().join("site/analytics.db").exists(), "refused before anything is made");
}

#[tokio::test]
async fn hidden_files_and_links_out_of_the_folder_are_not_served() {
    let home = site();
    for (target, name) in [("../secret.txt", "out.txt"), (".env", "env.txt"), ("..", "up")] {
        std::os::unix::fs::symlink(target, home.path().join("site").join(name)).unwrap();
    }
    let server = serve(&home).await;
    for path in [
        "/.env",
        "/%2eenv",
        "/./.env",
        "/.git/config",
        "/docs/.hidden",
        "/.well-known/.key",
        "/.well-known/../.env",
        "/.well-known/%2e%2e/.env",
        "/out.txt",
        "/env.txt",
        "/up/secret.txt",
        "/..%2fsecret.txt",
        "//.env",
    ] {
        let answer = server.send(get(path)).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.text().contains("SECRET"), "{path}");
    }
    assert_eq!(server.send(get("/.well-known/security.txt")).await.status, 200);
}

#[tokio::test]
async fn pages_are_found_without_their_ending() {
    let server = serve(&site()).await;
    for (path, name) in [
        ("/", "index.html"),
        ("/projects", "projects.html"),
        ("/projects?theme=ai", "projects.html"),
        ("/projects.html", "projects.html"),
        ("/docs/", "docs/index.html"),
    ] {
        let answer = server.send(browser(path)).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.text().contains(name), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        let modified = answer.header("last-modified").unwrap();
        assert_eq!(server.send(browser(path).header("if-modified-since", modified)).await.status, 304, "{path}");
    }
    for (path, location) in [("/docs?ref=x", "./docs/?ref=x"), ("/projects/", "../projects")] {
        let answer = server.send(browser(path)).await;
        assert_eq!((answer.status, answer.header("location")), (307, Some(location)), "{path}");
    }
}

#[tokio::test]
async fn a_missing_page_is_a_page_for_people_and_the_envelope_for_programs() {
    let home = site();
    let server = serve(&home).await;
    let page = server.send(browser("/nowhere")).await;
    assert_eq!(page.status, 404);
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{:?}", page.headers);
    assert!(page.text().contains("not found"), "{}", page.text());
    assert_eq!(server.send(get("/nowhere").header("accept", "*/*")).await.json()["code"], "NOT_FOUND");

    home.write("site/404.html", "<!doctype html><title>lost</title>");
    let modified = server.send(browser("/about")).await.header("last-modified").unwrap().to_owned();
    for request in [
        browser("/nowhere"),
        browser("/deep/er/nowhere.html?x=1"),
        get("/nowhere.png"),
        browser("/nowhere").header("if-modified-since", &modified).header("if-none-match", "*"),
        browser("/nowhere").header("range", "bytes=0-3"),
    ] {
        let answer = server.send(request.clone()).await;
        assert_eq!(answer.status, 404, "{request:?}");
        assert!(answer.text().ends_with("<title>lost</title>"), "{request:?}: {}", answer.text());
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{request:?}");
    }
    let answer = server.send(browser("/api/v1/analytics/nothing")).await;
    assert_eq!((answer.status, &answer.json()["code"]), (404, &"NOT_FOUND".into()), "the API keeps its envelope");
}

/// One view each, by whatever way a visitor comes; none of what is fetched ahead or in part.
#[tokio::test]
async fn visits_are_counted_once_and_what_is_no_visit_is_not() {
    tests::clock::away_from_midnight().await;
    let server = serve(&site()).await;
    let turbo = |path: &str| {
        get(path)
            .header("user-agent", BROWSER)
            .header("sec-fetch-dest", "empty")
            .header("accept", "text/html, application/xhtml+xml")
            .header("x-turbo-request-id", "7d3c")
    };
    let htmx = |path: &str| {
        get(path).header("user-agent", BROWSER).header("sec-fetch-dest", "empty").header("hx-request", "true")
    };
    for (request, status) in [
        (browser("/about").header("x-moz", "prefetch"), 200),
        (browser("/about").header("purpose", "prefetch"), 200),
        (browser("/about").header("sec-purpose", "prefetch;prerender"), 200),
        (browser("/about").header("x-purpose", "preview"), 200),
        (browser("/about").header("range", "bytes=0-9"), 206),
        (turbo("/about").header("turbo-frame", "list"), 200),
        (turbo("/about").header("x-sec-purpose", "prefetch"), 200),
        (htmx("/about"), 200),
        (browser("/nowhere"), 404),
        (browser("/docs"), 307),
        (browser("/about"), 200),
        (turbo("/projects"), 200),
        (htmx("/docs/").header("hx-boosted", "true"), 200),
    ] {
        let answer = server.send(request.clone()).await;
        assert_eq!(answer.status, status, "{request:?}");
    }
    // Once it has ended in good order, nothing more can arrive.
    let server = server.end().await.serve().await;
    let timeline = server.data("/timeline").await;
    let mut seen: Vec<_> = list(&timeline).iter().map(|event| text(&event["page_url"])).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["/about", "/docs", "/projects"]);
}

/// What the tracker reports of a page that the server has counted is a duplicate.
#[tokio::test]
async fn layer_and_tracker_agree_on_one_view() {
    tests::clock::away_from_midnight().await;
    let server = serve(&site()).await;
    let named = |answer: &tests::answer::Answer| {
        let timing = answer.header("server-timing").unwrap_or_default();
        let name = timing.strip_prefix("maicivy;desc=\"").and_then(|rest| rest.strip_suffix('"'));
        name.unwrap_or_else(|| panic!("no view is named in {timing:?}")).to_owned()
    };
    let page = server.send(browser("/about")).await;
    let report = |view: &str| {
        let event = serde_json::json!({"event_type": "page_view", "page_url": "/about", "view_id": view});
        tests::http::post("/event", &event).header("user-agent", BROWSER)
    };
    until("the layer has counted it", async || match number(&server.data("/stats").await["page_views"]) {
        1 => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!(server.send(report(&named(&page))).await.json()["data"]["outcome"], "duplicate");
    let unchanged = browser("/about").header("if-modified-since", page.header("last-modified").unwrap());
    let again = server.send(unchanged).await;
    assert_eq!(again.status, 304);
    assert_ne!(named(&again), named(&page), "each answer names a view of its own");
    assert_eq!(server.send(browser("/about").header("purpose", "prefetch")).await.header("server-timing"), None);
    assert_eq!(server.send(browser("/404")).await.header("server-timing"), None);
}

/// A page that htmx or Turbo fetches may be reported by the tracker before or after.
#[tokio::test]
async fn a_visit_by_a_script_that_the_tracker_reports_is_one_view() {
    tests::clock::away_from_midnight().await;
    let server = serve(&site()).await;
    let boosted =
        |path: &str| get(path).header("user-agent", BROWSER).header("hx-request", "true").header("hx-boosted", "true");
    let report = |path: &str| {
        let event = serde_json::json!({"event_type": "page_view", "page_url": path});
        tests::http::post("/event", &event).header("user-agent", BROWSER)
    };
    server.send(boosted("/about")).await;
    server.send(report("/about")).await;
    server.send(report("/projects")).await;
    server.send(boosted("/projects")).await;
    server.send(boosted("/docs/")).await;
    let server = server.end().await.serve().await;
    assert_eq!(number(&server.data("/stats").await["page_views"]), 3);
}

#[tokio::test]
async fn the_start_message_names_the_dashboard_without_colours() {
    let home = site();
    for (arguments, path) in [(&["serve"][..], "/"), (&["serve", "--static-dir", "site"], "/dashboard")] {
        let server = home.serve_with(arguments).await;
        let dashboard = format!("dashboard  http://{}{path}\n", server.address);
        assert!(server.written().contains(&dashboard), "{}", server.written());
        server.send(get("/api/v1/analytics/stats?period=century")).await;
        let written = server.written();
        assert!(written.contains("INFO"), "something is logged: {written}");
        assert!(!written.contains('\u{1b}'), "colour codes: {written}");
    }
}
