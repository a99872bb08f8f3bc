//! The role, the reader and the user of Redis, made by the very lines of the document, may do
//! all that the product does, and the reader nothing more than read.

use std::process::Command;

use serde_json::json;
use tests::clock::seconds_from_now;
use tests::engine::{Engine, psql, redis};
use tests::home::Home;
use tests::http::{get, post};
use tests::servers::{Durability, Postgres, Redis, program, run};
use tests::wait::until;
use tests::{API, number, uuid};

use crate::document::{blocks, the_one};

/// Stands for the password in the document.
const BLANK: &str = "…";
const ADMIN: &str = "a-token-of-sixteen-and-more";

/// Every connection has to prove who it is.
const HBA: &str =
    "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// Types a block of SQL into `psql` as the superuser.
fn superuser(server: &Postgres, database: &str, block: &str, password: &str) {
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), block.replace(BLANK, password)).unwrap();
    let mut client = Command::new(program("psql"));
    client.args(["--no-psqlrc", "-qX", "-v", "ON_ERROR_STOP=1", "-d", &server.url(database), "-f"]).arg(script.path());
    run(&mut client).unwrap_or_else(|error| panic!("{block}: {error}"));
}

/// What a command said that must fail.
fn refused(url: &str, sql: &str) -> String {
    let mut client = Command::new(program("psql"));
    client.args(["--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]);
    run(&mut client).expect_err(sql)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_document_grants_is_enough() {
    let postgres = Postgres::start_with(Durability::Process, &[], &[("pg_hba.conf", HBA)], &[]);
    let cache = Redis::start();
    let sql = || blocks("postgres.md", "sql");
    superuser(&postgres, "postgres", &the_one(sql(), "create role analytics"), "open sesame");
    let user = the_one(blocks("postgres.md", ""), "ACL SETUSER").replace(BLANK, "abracadabra");
    let words: Vec<&str> = user.split_whitespace().collect();
    assert_eq!(cache.command(&words), "OK");

    let store = format!("postgres://analytics:open%20sesame@127.0.0.1:{}/analytics", postgres.port());
    let redis_url = format!("redis://analytics:abracadabra@127.0.0.1:{}", cache.port());
    let home = Home::on(Engine::Sqlite)
        .env("ANALYTICS_STORE", &store)
        .env("ANALYTICS_REDIS", &redis_url)
        .env("ANALYTICS_ADMIN_TOKEN", ADMIN)
        .env("RUST_LOG", "info");
    let server = home.serve().await;
    let mut events = Vec::new();
    for letter in [false, true] {
        let kind = if letter { "letter_generate" } else { "page_view" };
        events.push(json!({"event_type": kind, "visitor_id": uuid(), "page_url": "/cv?theme=a",
            "event_data": {"letter_type": "motivation"}}));
    }
    server.store_all(&events).await;
    assert_eq!(number(&server.data("/stats").await["total_events"]), 2);
    for question in ["/realtime", "/themes", "/themes?period=day", "/letters", "/timeline", "/heatmap"] {
        let answer = server.ask(question).await;
        assert!(answer["meta"]["degraded"].is_null(), "{question}: {answer}");
    }
    let cleanup = post("/cleanup", &json!({})).header("authorization", format!("Bearer {ADMIN}"));
    let answer = server.send(cleanup).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Whatever the watch may not do shows when it has looked around, on a new connection too.
    let cut = cache.command(&["CLIENT", "KILL", "USER", "analytics"]);
    assert_ne!(cut, "0");
    let looks = async || {
        let name = "maicivy_redis_operation_duration_seconds_count";
        server.scrape().await.sum(name, &[("operation", "look")])
    };
    let before = looks().await;
    until("the watch looks around", async || match looks().await {
        looks if looks >= before + 6.0 => Ok(()),
        looks => Err(looks),
    })
    .await;
    assert_eq!(server.send(get("/health/ready")).await.json()["status"], "ok");
    let written = server.written();
    assert!(!written.contains("NOPERM"), "{written}");
    // Nor does Redis itself remember having refused anything.
    assert_eq!(cache.command(&["ACL", "LOG"]), "", "what was refused");

    // The reader reads all but the secrets, what is yet to be made too.
    superuser(&postgres, "analytics", &the_one(sql(), "create role reader"), "let me in");
    let reader = format!("postgres://reader:let%20me%20in@127.0.0.1:{}/analytics", postgres.port());
    assert_eq!(psql(&reader, "select sum(events) from analytics.analytics_totals where bucket & 3 = 0"), "2");
    for forbidden in [
        "select * from analytics.analytics_secrets",
        "delete from analytics.analytics_events",
        "update analytics.analytics_sites set position = 0",
        "create table analytics.mine (n int)",
    ] {
        let said = refused(&reader, forbidden);
        assert!(said.contains("permission denied"), "{forbidden}: {said}");
    }
    let yesterday =
        json!({"event_type": "scroll", "visitor_id": uuid(), "timestamp": seconds_from_now(-23 * 3_600).to_string()});
    server.store(&yesterday).await;
    assert_eq!(psql(&reader, "select count(*) from analytics.analytics_events"), "3");
    assert!(refused(&store, "create table public.mine (n int)").contains("permission denied"));

    let home = server.end().await;
    for command in ["verify", "rebuild", "cleanup", "verify"] {
        let finished = home.run(&[command]).await.expect_code(0);
        assert!(!finished.stderr.contains("NOPERM"), "{command}: {}", finished.output());
    }
    let server = home.serve().await;
    assert_eq!(number(&server.send(get(format!("{API}/timeline"))).await.json()["meta"]["count"]), 3);
    server.end().await;
    assert_eq!(cache.command(&["ACL", "LOG"]), "", "what was refused");
    let keys = redis(&redis_url, &["--scan"]);
    assert!(keys.lines().count() > 10 && keys.lines().all(|key| key.starts_with("analytics:")), "{keys}");
}
