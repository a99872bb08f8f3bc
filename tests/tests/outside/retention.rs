//! Events older than the retention go; what was counted stays.

use serde_json::Value;
use tests::access_log::{AccessLog, Line};
use tests::clock::days_ago;
use tests::home::Home;
use tests::http::request;
use tests::wait::until;
use tests::{API, list, number, text};

const TOKEN: &str = "a-long-enough-admin-token-3f2504e0";

/// Four events of eight days ago, three of seven, two of yesterday.
async fn imported() -> Home {
    let home = Home::new();
    let mut log = AccessLog::default();
    for (ago, count) in [(8, 4), (7, 3), (1, 2)] {
        for _ in 0..count {
            log.combined(days_ago(ago), Line::default());
        }
    }
    let path = home.write("access.log", log.text());
    home.run(&["import", &path]).await.expect_code(0);
    home
}

fn reported(report: &Value) {
    assert!(text(&report["cutoff"]).starts_with(&days_ago(5).to_string()), "{report}");
    assert!(report["deleted"].is_u64() && report["duration_ms"].is_u64(), "{report}");
}

#[tokio::test]
async fn by_sub_command() {
    let home = imported().await.env("ANALYTICS_RETENTION_DAYS", "5");
    let output = home.run(&["cleanup"]).await.expect_code(0).output();
    for word in ["cutoff", "deleted", "duration_ms", "7", &days_ago(5).to_string()] {
        assert!(output.contains(word), "{word} is not in:\n{output}");
    }
    let server = home.serve().await;
    assert_eq!(list(&server.data("/timeline").await).len(), 2);
    let then = server.data(&format!("/stats?date={}", days_ago(8))).await;
    assert_eq!(number(&then["page_views"]), 4, "aggregates outlive events: {then}");
    server.end().await;
    home.run(&["verify"]).await.expect_code(0);
    home.run(&["rebuild"]).await.expect_code(0);
    home.run(&["cleanup"]).await.expect_code(0);
    let server = home.serve().await;
    let then = server.data(&format!("/stats?date={}", days_ago(8))).await;
    assert_eq!(number(&then["page_views"]), 4, "a rebuild leaves alone what it cannot recount: {then}");
}

#[tokio::test]
async fn by_hand() {
    let home = imported().await.env("ANALYTICS_RETENTION_DAYS", "5").env("ANALYTICS_ADMIN_TOKEN", TOKEN);
    let server = home.serve().await;
    let cleanup = async || {
        let asked = request("POST", format!("{API}/cleanup")).header("authorization", format!("Bearer {TOKEN}"));
        let answer = server.send(asked).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["data"].take()
    };
    reported(&cleanup().await);
    assert_eq!(list(&server.data("/timeline").await).len(), 2);
    let again = cleanup().await;
    reported(&again);
    assert_eq!(number(&again["deleted"]), 0, "idempotent: {again}");
    let scrape = server.scrape().await;
    assert!(scrape.sum("maicivy_cleanup_last_success_timestamp_seconds", &[]) > 1.7e9);
}

/// Killed at any moment, it resumes.
#[tokio::test]
async fn killed_in_the_middle() {
    let home = imported().await.env("ANALYTICS_RETENTION_DAYS", "5");
    for millis in [5, 20, 60] {
        let mut run = home.command(&["cleanup"]).spawn().unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        run.kill().await.unwrap();
    }
    until("it succeeds", async || match home.run(&["cleanup"]).await.code {
        Some(0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    home.run(&["verify"]).await.expect_code(0);
    let server = home.serve().await;
    assert_eq!(list(&server.data("/timeline").await).len(), 2);
}
