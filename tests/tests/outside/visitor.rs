//! One visitor's data is exported and erased: in every answer, in every process, and on the disk.

use serde_json::{Value, json};
use tests::answer::Answer;
use tests::home::{Home, contains};
use tests::http::post;
use tests::live::Live;
use tests::server::Server;
use tests::wait::until;
use tests::{list, number, text, uuid};

const ADMIN: &str = "a-token-of-the-operator";

async fn admin(server: &Server, call: &str, visitor: &str) -> Answer {
    let asked = json!({"site": "a.example", "visitor_id": visitor});
    server.send(post(call, &asked).header("authorization", format!("Bearer {ADMIN}"))).await
}

/// What a visitor does, and all of it that is theirs alone.
fn visit(visitor: &str) -> (Vec<Value>, [String; 3]) {
    let secrets = [visitor.to_owned(), format!("page-of-{visitor}"), format!("value-of-{visitor}")];
    let event = |kind: &str, data: Value| {
        json!({
            "event_type": kind, "site": "a.example", "visitor_id": visitor, "event_id": uuid(), "event_data": data,
            "page_url": format!("/page-of-{visitor}"),
        })
    };
    let events = vec![
        event("page_view", json!({})),
        event("signup", json!({"plan": format!("value-of-{visitor}")})),
        event("letter_generate", json!({"letter_type": "motivation"})),
    ];
    (events, secrets)
}

/// Answers that the visitor's events would be in.
async fn answers(server: &Server) -> Vec<Value> {
    let mut answers = Vec::new();
    for question in [
        "/stats?site=a.example&period=month",
        "/letters?site=a.example",
        "/timeline?site=a.example",
        "/query?q=%7B%22site%22:%22a.example%22,%22metrics%22:%5B%22visitors%22,%22events%22%5D,%22dimensions%22:%5B%22event:page%22%5D,%22date_range%22:%22day%22%7D",
    ] {
        let mut data = server.data(question).await;
        for event in data.as_array_mut().into_iter().flatten() {
            // It is another one for each event, and in each store.
            event["visitor_id"].take();
        }
        answers.push(data);
    }
    let mut realtime = server.data("/realtime?site=a.example").await;
    realtime["timestamp"].take();
    answers.push(realtime);
    answers
}

#[tokio::test]
async fn an_erased_visitor_is_nowhere() {
    let home = Home::new().env("ANALYTICS_ADMIN_TOKEN", ADMIN);
    let server = home.serve().await;
    let (gone, stays) = (uuid(), uuid());
    let (events, secrets) = visit(&gone);
    let (others, _) = visit(&stays);
    server.store_all(&others).await;
    let before = answers(&server).await;
    server.store_all(&events).await;
    assert_ne!(answers(&server).await, before);

    let exported = admin(&server, "/visitor/export", &gone).await.json();
    let mut sent: Vec<&str> = events.iter().map(|event| text(&event["event_id"])).collect();
    let mut found: Vec<&str> = list(&exported["data"]["events"]).iter().map(|event| text(&event["id"])).collect();
    sent.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, sent, "{exported}");

    let mut live = Live::connect_to(&server, &format!("{}?site=a.example", tests::live::PATH)).await;
    let answer = admin(&server, "/visitor/erase", &gone).await;
    assert_eq!((answer.status, number(&answer.json()["data"]["events"])), (200, 3), "{}", answer.text());
    assert_eq!(answers(&server).await, before, "as if they had never come");
    live.next_of(|kind| kind == "gap").await;
    assert_eq!(server.scrape().await.sum("maicivy_erased_events_total", &[]) as u64, 3);

    // The log says that it was done and by whom, and names no visitor.
    let written = server.written();
    let line = written.lines().find(|line| line.contains("a visitor's data was erased")).expect("a line of the log");
    for part in ["a.example", "ANALYTICS_ADMIN_TOKEN", "events=3", "days=1"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    for secret in &secrets {
        assert!(!written.contains(secret), "{written}");
    }
    assert!(!line.contains("127.0.0.1"), "{line}");

    let home = server.end().await;
    let ids = events.iter().map(|event| text(&event["event_id"]).to_owned()).chain([gone]);
    let bytes = ids.clone().map(|id| uuid::Uuid::parse_str(&id).unwrap().as_bytes().to_vec());
    let secrets: Vec<Vec<u8>> = secrets.into_iter().chain(ids.clone()).map(String::into_bytes).chain(bytes).collect();
    let kept = home.kept();
    for secret in secrets {
        let found: Vec<_> = kept.iter().filter(|(_, file)| contains(file, &secret)).map(|(place, _)| place).collect();
        assert!(found.is_empty(), "{}: {found:?}", String::from_utf8_lossy(&secret));
    }
    let server = home.serve().await;
    assert_eq!(answers(&server).await, before, "after a restart, too");
}

/// The sub-command works on the store that a server uses: the server's answers follow.
#[tokio::test]
async fn an_erasure_beside_a_running_server_shows_there() {
    let home = Home::new();
    let server = home.serve().await;
    let (gone, stays) = (uuid(), uuid());
    let (events, secrets) = visit(&gone);
    server.store_all(&visit(&stays).0).await;
    let before = answers(&server).await;
    server.store_all(&events).await;
    answers(&server).await;
    let exported = home.run(&["visitor", "export", "--site", "a.example", &gone]).await.expect_code(0).stdout;
    assert_eq!(exported.lines().count(), 3, "{exported}");
    assert!(exported.lines().all(|line| line.contains(&secrets[1])), "{exported}");
    let erased = home.run(&["visitor", "erase", "--site", "a.example", &gone]).await.expect_code(0);
    let report: Value = serde_json::from_str(&erased.stdout).expect("a report");
    assert_eq!((number(&report["events"]), number(&report["days"])), (3, 1));
    assert!(erased.stderr.contains("command line") && !erased.stderr.contains(&gone), "{}", erased.stderr);
    until("the server's answers are without the visitor", async || {
        let now = answers(&server).await;
        if now == before { Ok(()) } else { Err(json!(now)) }
    })
    .await;
    home.run(&["verify"]).await.expect_code(0);
    home.run(&["visitor", "erase", "no-uuid"]).await.expect_code(64);
}
