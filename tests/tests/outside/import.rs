//! Access logs become events, once.

use tests::access_log::{self, AccessLog, Line};
use tests::clock::{days_ago, today};
use tests::home::Home;
use tests::{BOT, list, number, text};

/// Page views of a day, as a server on this home answers.
async fn views(home: &Home, site: &str, days: std::ops::Range<i64>) -> Vec<u64> {
    let server = home.serve().await;
    let mut views = Vec::new();
    for ago in days {
        let stats = server.data(&format!("/stats?site={site}&date={}", days_ago(ago))).await;
        assert_eq!(stats["page_views"], stats["total_events"], "{stats}");
        views.push(number(&stats["page_views"]));
    }
    server.end().await;
    views
}

/// Seven page views by three visitors on two days, and a lot of other lines; the malformed
/// ones are lines 8 and 137.
fn mixed() -> AccessLog {
    let mut log = AccessLog::default();
    let line = Line::default();
    for n in 0..4 {
        log.combined(days_ago(2), Line { request: &format!("GET /cv?theme=ai&n={n}"), ..line });
    }
    log.combined(days_ago(2), Line { address: "198.18.5.10", status: 304, ..line });
    log.combined(days_ago(1), Line { address: "198.18.5.11", request: "GET /about/", ..line });
    log.combined(days_ago(1), Line { address: "2001:db8::7", request: "GET /docs/index.html", ..line });
    log.raw("this is no line of an access log");
    for (request, status) in [
        ("GET /style.css", 200),
        ("GET /app.js?v=1", 200),
        ("GET /logo.PNG", 200),
        ("GET /favicon.ico", 200),
        ("GET /cv", 404),
        ("GET /cv", 500),
        ("GET /cv", 301),
        ("POST /cv", 200),
        ("HEAD /cv", 200),
    ] {
        log.combined(days_ago(1), Line { request, status, ..line });
    }
    for n in 17..136 {
        let request = format!("GET /{}", if n % 2 == 0 { "a.css" } else { "cv" });
        log.combined(days_ago(1), Line { request: &request, user_agent: BOT, ..line });
    }
    log.raw(r#"198.18.5.9 - - [99/Foo/2025:12:00:00 +0000] "GET /cv HTTP/1.1" 200 5 "-" "x""#);
    log
}

#[tokio::test]
async fn people_and_pages_only_and_only_once() {
    let home = Home::new();
    let path = home.write("access.log", mixed().text());
    let output = home.run(&["import", &path]).await.expect_code(0).output();
    for malformed in ["8", "137"] {
        assert!(output.contains(malformed), "line {malformed} is not named:\n{output}");
    }
    assert_eq!(views(&home, "default", 0..3).await, [0, 2, 5]);

    home.run(&["import", &path]).await.expect_code(0);
    assert_eq!(views(&home, "default", 0..3).await, [0, 2, 5], "a second time nothing is new");
    home.run(&["verify"]).await.expect_code(0);

    let server = home.serve().await;
    let stats = server.data(&format!("/stats?date={}", days_ago(2))).await;
    assert_eq!(number(&stats["unique_visitors"]), 2, "{stats}");
    let timeline = server.data("/timeline").await;
    assert_eq!(list(&timeline).len(), 7);
    let urls: Vec<_> = list(&timeline).iter().map(|event| text(&event["page_url"])).collect();
    assert!(urls.contains(&"/cv?theme=ai") && !urls.iter().any(|url| url.contains("n=")), "{urls:?}");
    assert_eq!(text(&timeline[0]["referrer"]), "https://search.example/");
    let themes = server.data("/themes").await;
    assert_eq!((&themes[0]["theme"], number(&themes[0]["views"])), (&"ai".into(), 4));
}

/// A log that has grown: what is new is stored, and nothing else.
#[tokio::test]
async fn a_log_that_has_grown() {
    let home = Home::new();
    let mut log = AccessLog::default();
    for _ in 0..3 {
        log.combined(days_ago(1), Line::default());
    }
    let path = home.write("access.log", log.text());
    home.run(&["import", &path]).await.expect_code(0);
    log.combined(days_ago(1), Line { address: "198.18.5.12", ..Line::default() });
    let path = home.write("access.log", log.text());
    home.run(&["import", &path]).await.expect_code(0);
    assert_eq!(views(&home, "default", 1..2).await, [4]);
}

/// Two requests that look the same in the log were two.
#[tokio::test]
async fn equal_lines_are_different_requests() {
    let home = Home::new();
    let mut log = AccessLog::default();
    log.combined(days_ago(1), Line::default());
    let line = log.text().to_owned();
    let path = home.write("access.log", line.repeat(5));
    home.run(&["import", &path]).await.expect_code(0);
    home.run(&["import", &path]).await.expect_code(0);
    assert_eq!(views(&home, "default", 1..2).await, [5]);
}

#[tokio::test]
async fn sites_formats_and_compression() {
    let home = Home::new();
    let mut common = AccessLog::default();
    for n in 0..3 {
        common.common(days_ago(1), Line { request: &format!("GET /page-{n}"), ..Line::default() });
    }
    let mut combined = AccessLog::default();
    for _ in 0..2 {
        combined.combined(days_ago(1), Line::default());
    }
    let path = home.write("common.log", common.text());
    home.run(&["import", "--site", "common.example", "--format", "common", &path]).await.expect_code(0);
    let gz = home.write("access.log.2.gz", combined.gz());
    home.run(&["import", "--site", "gz.example", &gz]).await.expect_code(0);
    home.run(&["import", "--site", "gz.example", &gz]).await.expect_code(0);
    let plain = home.write("access.log", combined.text());
    home.run(&["import", "--site", "both.example", &plain, &gz]).await.expect_code(0);
    assert_eq!(views(&home, "gz.example", 1..2).await, [2]);
    assert_eq!(views(&home, "default", 1..2).await, [0]);
    assert_eq!(views(&home, "common.example", 1..2).await, [3]);
    home.run(&["import", "--site", "No Site", &plain]).await.expect_code(64);
    home.run(&["import", "no-such-file.log"]).await.expect_code(1);
}

#[tokio::test]
async fn hosts_and_formats_can_be_named() {
    let home = Home::new();
    let mut log = AccessLog::default();
    log.combined(days_ago(1), Line::default()).combined(days_ago(1), Line { address: "198.18.5.8", ..Line::default() });
    let mut lines = log.text().lines();
    let hosts = format!("a.example:443 {}\nb.example {}\n", lines.next().unwrap(), lines.next().unwrap());
    let path = home.write("vhosts.log", hosts);
    let output = home.run(&["import", "--site", "a", "--vhost", "A.example", &path]).await.expect_code(0).output();
    assert!(output.contains("Combined with virtual host") && output.contains("other_host"), "{output}");
    home.run(&["import", "--site", "both", "--vhost", "a.example", "--vhost", "b.example", &path]).await.expect_code(0);

    let own = format!("{}T12:00:00Z|198.18.5.9|GET|/cv|200|{}\n", days_ago(1), tests::BROWSER);
    let own = home.write("own.log", own);
    let format = "$time_iso8601|$remote_addr|$request_method|$request_uri|$status|$http_user_agent";
    let output = home.run(&["import", "--site", "own", &own]).await.expect_code(1).output();
    assert!(
        output.contains("column ") && output.contains(": expected a ") && output.contains("--log-format"),
        "{output}"
    );
    home.run(&["import", "--site", "own", "--log-format", format, &own]).await.expect_code(0);
    for (site, count) in [("a", 1), ("both", 2), ("own", 1)] {
        assert_eq!(views(&home, site, 1..2).await, [count], "{site}");
    }
    home.run(&["import", "--log-format", "$status", &own]).await.expect_code(64);
    home.run(&["import", "--vhost", "no host", &own]).await.expect_code(64);
}

/// A file that is still being written to, and then complete.
#[tokio::test]
async fn a_last_line_is_imported_once_it_is_complete() {
    let home = Home::new();
    let mut log = AccessLog::default();
    log.combined(days_ago(1), Line::default()).combined(days_ago(1), Line::default());
    let whole = log.text().trim_end().to_owned() + " 1234";
    for end in [whole.len() - 2, whole.len()] {
        let path = home.write("access.log", &whole[..end]);
        let output = home.run(&["import", &path]).await.expect_code(0).output();
        assert!(output.contains("unfinished"), "{output}");
        assert_eq!(views(&home, "default", 1..2).await, [1]);
    }
    let path = home.write("access.log", &whole);
    home.run(&["import", "--finished", &path]).await.expect_code(0);
    let path = home.write("access.log", whole + "\n");
    home.run(&["import", &path]).await.expect_code(0);
    assert_eq!(views(&home, "default", 1..2).await, [2]);
}

#[tokio::test]
async fn too_old_or_rebased() {
    let home = Home::new();
    let mut log = AccessLog::default();
    for (ago, count) in [(901, 1), (900, 2), (899, 3)] {
        for _ in 0..count {
            log.combined(days_ago(ago), Line::default());
        }
    }
    let path = home.write("old.log", log.text());
    let output = home.run(&["import", &path]).await.expect_code(0).output();
    let told = output.to_lowercase().replace('_', " ");
    assert!(told.contains("too old") && told.contains('6'), "{output}");
    let server = home.serve().await;
    assert_eq!(list(&server.data("/timeline").await).len(), 0);
    server.end().await;

    for _ in 0..2 {
        home.run(&["import", "--rebase", &path]).await.expect_code(0);
        assert_eq!(views(&home, "default", 0..4).await, [3, 2, 1, 0], "by whole days, and once: today is {}", today());
    }
    home.run(&["verify"]).await.expect_code(0);
}

/// What is older than the retention is part of the answers about twelve months, and counts once.
#[tokio::test]
async fn old_logs_are_summarised() {
    let home = Home::new();
    let mut log = AccessLog::default();
    for (ago, count) in [(200, 5), (201, 3), (1, 2)] {
        for _ in 0..count {
            log.combined(days_ago(ago), Line::default());
        }
    }
    let path = home.write("old.log", log.text());
    for known in [0, 8] {
        let output = home.run(&["import", &path]).await.expect_code(0).output();
        assert!(output.contains(&format!("{known} of days that have a summary already")), "{output}");
    }
    let server = home.serve().await;
    for date_range in ["365d", "all"] {
        let query = serde_json::json!({
            "metrics": ["pageviews", "visits"], "dimensions": ["event:page"], "date_range": date_range
        });
        let answer = server.send(tests::http::post("/query", &query)).await.json();
        assert_eq!(answer["data"]["results"][0]["metrics"][0], 10, "{answer}");
        assert_eq!((&answer["meta"]["summaries"], &answer["meta"]["visitors"]), (&"used".into(), &"mixed".into()));
    }
    server.end().await;
    home.run(&["verify"]).await.expect_code(0);
}

/// A real site's log, where it is at hand.
#[tokio::test]
async fn a_real_log() {
    let Some(path) = access_log::real() else { return };
    let home = Home::new();
    let output = home.run(&["import", "--rebase", &path]).await.expect_code(0).output();
    assert!(output.contains("8899"), "the malformed line:\n{output}");
    let first = views(&home, "default", 0..5).await;
    let total: u64 = first.iter().sum();
    assert!((1_000..3_926).contains(&total), "page views by people: {first:?}");
    assert_eq!(first[4], 0, "four days");
    home.run(&["import", "--rebase", &path]).await.expect_code(0);
    assert_eq!(views(&home, "default", 0..5).await, first, "a second time nothing is new");
    home.run(&["verify"]).await.expect_code(0);
}
