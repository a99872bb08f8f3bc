//! Copies of the embedded store, and what a server does whose files are gone.

use serde_json::json;
use tests::engine::Engine;
use tests::home::Home;
use tests::http::get;
use tests::server::Server;
use tests::wait::until;
use tests::{list, uuid};

async fn fill(server: &Server, events: usize) {
    let event = || json!({"event_type": "scroll", "visitor_id": uuid()});
    server.store_all(&(0..events).map(|_| event()).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_backup_is_made_and_restored() {
    let server = Home::on(Engine::Sqlite).serve().await;
    fill(&server, 70).await;
    let file = server.home.path().join("backup.db").display().to_string();
    let finished = server.home.run(&["backup", &file]).await.expect_code(0);
    assert!(finished.stdout.contains("70 events") && finished.stdout.contains(&file), "{}", finished.output());
    server.home.run(&["backup", &file]).await.expect_code(1);
    fill(&server, 5).await;
    let open = server.home.run(&["restore", &file, "--force"]).await.expect_code(1);
    assert!(open.stderr.contains("stop the server"), "{}", open.stderr);
    let home = server.kill().await;
    let there = home.run(&["restore", &file]).await.expect_code(1);
    assert!(there.stderr.contains("--force"), "{}", there.stderr);
    home.run(&["restore", &file, "--force"]).await.expect_code(0);
    home.run(&["verify"]).await.expect_code(0);
    let server = home.serve().await;
    assert_eq!(list(&server.data("/timeline?limit=100").await).len(), 70);
    // To another machine.
    let other = Home::on(Engine::Sqlite);
    other.run(&["restore", &file]).await.expect_code(0);
    assert_eq!(list(&other.serve().await.data("/timeline?limit=100").await).len(), 70);
}

#[tokio::test]
async fn other_engines_have_backups_of_their_own() {
    let home = Home::on(Engine::Sqlite);
    for (store, instead) in [("postgres://joe:hunter2@127.0.0.1:1/d", "pg_dump"), ("dynamodb:table", "point-in-time")] {
        let home = home.clone().env("ANALYTICS_STORE", store).env("ANALYTICS_REDIS", "redis://127.0.0.1:1");
        for command in ["backup", "restore"] {
            let stderr = home.run(&[command, "file"]).await.expect_code(64).stderr;
            assert!(stderr.contains(instead) && !stderr.contains("hunter2"), "{stderr}");
        }
    }
}

/// A copy of the database file of a running server is complete once no events arrive for a while;
/// before that, it says what is missing.
#[tokio::test]
async fn a_copied_file_is_whole_or_says_that_it_is_not() {
    let server = Home::on(Engine::Sqlite).serve().await;
    fill(&server, 30).await;
    let copied = async || {
        let copy = Home::on(Engine::Sqlite);
        std::fs::copy(server.home.data().join("analytics.db"), copy.data().join("analytics.db")).unwrap();
        (copy.run(&["verify"]).await, copy)
    };
    let (finished, _) = copied().await;
    let stderr = finished.expect_code(1).stderr;
    assert!(stderr.contains("copied without") && stderr.contains("backup"), "{stderr}");
    let copy = until("the file is whole", async || match copied().await {
        (finished, copy) if finished.code == Some(0) => Ok(copy),
        (finished, _) => Err(finished.output()),
    })
    .await;
    assert_eq!(list(&copy.serve().await.data("/timeline?limit=100").await).len(), 30);
}

#[tokio::test]
async fn a_server_whose_file_was_removed_is_not_ready() {
    let server = Home::on(Engine::Sqlite).serve().await;
    fill(&server, 1).await;
    std::fs::remove_file(server.home.data().join("analytics.db")).unwrap();
    until("it is not ready", async || match server.send(get("/health/ready")).await {
        answer if answer.status == 503 => Ok(()),
        answer => Err(answer.text()),
    })
    .await;
    assert_eq!(server.scrape().await.sum("maicivy_store_up", &[]) as u64, 0);
    let answer = server.event(&json!({"event_type": "scroll", "visitor_id": uuid()})).await;
    answer.refused("its file is gone", 503, "UNAVAILABLE");
    assert!(answer.header("retry-after").is_some());
    assert!(server.written().contains("removed or replaced"), "{}", server.written());
}

/// The disk is full while the server runs, as far as the process can tell: events are refused, questions
/// answered, and once there is room all goes on. Nothing that was answered is missing.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_refuses_events_until_there_is_room() {
    let server = Home::on(Engine::Sqlite).after("trap '' XFSZ").serve().await;
    let event = || json!({"event_type": "scroll", "visitor_id": uuid(), "event_data": {"text": "x".repeat(8_000)}});
    server.store(&event()).await;
    let written = std::fs::metadata(server.home.data().join("analytics.db-wal")).unwrap().len();
    server.limit_files(Some(written + 200_000));
    let mut stored = 1;
    let refused = loop {
        let answer = server.event(&event()).await;
        if answer.status != 201 {
            break answer;
        }
        stored += 1;
        assert!(stored < 1_000, "there is room");
    };
    refused.refused("there is no room", 503, "UNAVAILABLE");
    assert!(refused.header("retry-after").is_some());
    until("it is not ready", async || match server.send(get("/health/ready")).await {
        answer if answer.status == 503 => Ok(()),
        answer => Err(answer.text()),
    })
    .await;
    assert_eq!(server.data("/stats").await["total_events"], stored);
    let scrape = server.scrape().await;
    let outcomes = |outcome| scrape.sum("maicivy_ingest_outcomes_total", &[("outcome", outcome)]) as u64;
    assert_eq!((outcomes("stored"), outcomes("failed")), (stored, 1));

    server.limit_files(None);
    until("it is ready", async || match server.send(get("/health/ready")).await {
        answer if answer.status == 200 => Ok(()),
        answer => Err(answer.text()),
    })
    .await;
    server.store(&event()).await;
    let home = server.kill().await;
    home.run(&["verify"]).await.expect_code(0);
    assert_eq!(home.after(":").serve().await.data("/stats").await["total_events"], stored + 1);
}

/// A disk without a free byte, as far as the process can tell.
#[cfg(unix)]
#[tokio::test]
async fn a_server_that_cannot_write_does_not_start() {
    let home = Home::on(Engine::Sqlite);
    home.serve().await.end().await;
    let program = tests::binary::path().display();
    let command = format!("trap '' XFSZ; ulimit -f 0; exec {program} serve");
    let output = home.command_of(std::path::Path::new("/bin/sh"), &["-c", &command]).output().await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot be written"), "{stderr}");
}
