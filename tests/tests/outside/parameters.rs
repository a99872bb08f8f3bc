//! A parameter out of range is refused with words that name the range; none is replaced in
//! silence.

use tests::http::get;
use tests::server::Server;
use tests::{API, number};

#[tokio::test]
async fn out_of_range() {
    let server = Server::new().await;
    let period: &[&str] = &["day", "week", "month"];
    let cases: &[(&str, &str, &[&str])] = &[
        ("/stats?period=year", "INVALID_PERIOD", period),
        ("/stats?period=Day", "INVALID_PERIOD", period),
        ("/stats?period=%ff", "INVALID_PERIOD", period),
        ("/stats?period=%zz", "INVALID_PERIOD", period),
        ("/stats?period=week&date=yesterday", "INVALID_DATE", &["YYYY-MM-DD"]),
        ("/stats?date=2025-13-01", "INVALID_DATE", &["YYYY-MM-DD"]),
        ("/stats?date=2025-02-29", "INVALID_DATE", &["YYYY-MM-DD"]),
        ("/stats?date=2025-12-08T00:00:00Z", "INVALID_DATE", &["YYYY-MM-DD"]),
        ("/stats?date=20251208", "INVALID_DATE", &["YYYY-MM-DD"]),
        ("/themes?limit=0", "INVALID_LIMIT", &["1", "20"]),
        ("/themes?limit=21", "INVALID_LIMIT", &["1", "20"]),
        ("/themes?limit=-1", "INVALID_LIMIT", &["1", "20"]),
        ("/themes?limit=five", "INVALID_LIMIT", &["1", "20"]),
        ("/themes?limit=5.5", "INVALID_LIMIT", &["1", "20"]),
        ("/themes?limit=99999999999999999999999", "INVALID_LIMIT", &["1", "20"]),
        ("/themes?period=always", "INVALID_PERIOD", period),
        ("/letters?period=quarter", "INVALID_PERIOD", period),
        ("/timeline?limit=0", "INVALID_LIMIT", &["1", "100"]),
        ("/timeline?limit=101", "INVALID_LIMIT", &["1", "100"]),
        ("/timeline?limit=many", "INVALID_LIMIT", &["1", "100"]),
        ("/timeline?offset=-1", "INVALID_OFFSET", &["0", "10"]),
        ("/timeline?offset=10001", "INVALID_OFFSET", &["0", "10"]),
        ("/timeline?offset=x", "INVALID_OFFSET", &["0", "10"]),
        ("/timeline?cursor=nonsense", "INVALID_CURSOR", &["next_cursor"]),
        ("/timeline?cursor=%00", "INVALID_CURSOR", &[]),
        ("/timeline?cursor=AAAA", "INVALID_CURSOR", &[]),
        ("/heatmap?hours=0", "INVALID_HOURS", &["1", "168"]),
        ("/heatmap?hours=169", "INVALID_HOURS", &["1", "168"]),
        ("/heatmap?hours=-24", "INVALID_HOURS", &["1", "168"]),
        ("/heatmap?hours=day", "INVALID_HOURS", &["1", "168"]),
    ];
    for (question, code, words) in cases {
        let answer = server.send(get(format!("{API}{question}"))).await;
        let error = answer.refused(question, 400, code);
        for word in *words {
            assert!(error.contains(word), "{question}: {error:?} does not name {word}");
        }
    }
}

#[tokio::test]
async fn sites_that_are_none() {
    let server = Server::new().await;
    for question in ["/realtime", "/stats", "/themes", "/letters", "/timeline", "/heatmap"] {
        for site in ["A", "a_b", "a%20b", "a%2Fb", "%c3%a9", "%ff", &"a".repeat(64)] {
            let asked = format!("{question}?site={site}");
            let error = server.send(get(format!("{API}{asked}"))).await.refused(&asked, 400, "INVALID_SITE");
            assert!(error.contains("63"), "{asked}: {error}");
        }
    }
}

#[tokio::test]
async fn both_ends_of_every_range() {
    let server = Server::new().await;
    for question in [
        "/stats?period=day&date=1970-01-01",
        "/stats?period=month",
        "/themes?limit=1",
        "/themes?limit=20&period=week",
        "/letters?period=month",
        "/timeline?limit=1&offset=0",
        "/timeline?limit=100&offset=10000",
        "/heatmap?hours=1",
        "/heatmap?hours=168&page=/cv",
        "/realtime?site=a",
        &format!("/realtime?site={}", "a".repeat(63)),
    ] {
        server.ask(question).await;
    }
    let timeline = server.ask("/timeline").await;
    assert_eq!((number(&timeline["meta"]["limit"]), number(&timeline["meta"]["offset"])), (50, 0));
    assert_eq!(number(&server.ask("/heatmap").await["meta"]["hours"]), 24);
}
