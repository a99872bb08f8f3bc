//! Events move to another store as they are, once.

use serde_json::{Value, json};
use tests::clock::{away_from_midnight, seconds_from_now};
use tests::engine::Engine;
use tests::home::Home;
use tests::random::Random;
use tests::server::Server;
use tests::{API, list, text, uuid};

/// Events of all kinds on two sites, some of them of yesterday.
async fn filled(home: &Home) -> Server {
    away_from_midnight().await;
    let server = home.serve().await;
    let mut random = Random::seeded();
    let visitors: Vec<String> = (0..20).map(|_| uuid()).collect();
    for _ in 0..4 {
        let events: Vec<Value> = (0..150)
            .map(|n| {
                json!({
                    "event_type": random.one_of(&["page_view", "click", "letter_generate", "own:type", "cv_theme_change"]),
                    "site": random.one_of(&["default", "other.example"]),
                    "visitor_id": random.one_of(&visitors),
                    "event_id": uuid(),
                    "page_url": format!("/caf\u{e9}/{}?theme={}", n % 7, n % 3),
                    "referrer": "https://search.example/",
                    "timestamp": seconds_from_now(-(random.below(80_000) as i64)).to_string(),
                    "event_data": {
                        "x": random.below(1_000) as f64 / 10.0, "y": random.below(100), "deep": [{"\"": "\\\u{2603}"}],
                    },
                })
            })
            .collect();
        server.store_all(&events).await;
    }
    server
}

const QUESTIONS: [&str; 7] = [
    "/stats?period=day",
    "/stats?period=week",
    "/stats?period=month",
    "/themes?limit=20",
    "/letters?period=week",
    "/heatmap?hours=168",
    "/timeline?limit=100",
];

/// All answers about both sites, without the pseudonyms, whose key does not move.
async fn answers(server: &Server) -> Vec<Value> {
    let mut answers = Vec::new();
    for question in QUESTIONS {
        for site in ["default", "other.example"] {
            let mut answer = server.ask(&format!("{question}&site={site}")).await;
            if question.starts_with("/timeline") {
                for event in answer["data"].as_array_mut().unwrap() {
                    event["visitor_id"] = Value::Null;
                }
            }
            answers.push(answer);
        }
    }
    answers
}

async fn moved(from: &Home, to: &Home) {
    let server = filled(from).await;
    // The server runs on: an export needs no downtime.
    let file = from.path().join("events.jsonl").display().to_string();
    from.run(&["export", "--output", &file]).await.expect_code(0);
    let expected = answers(&server).await;
    server.end().await;

    for imported in ["600 imported", "0 imported"] {
        let output = to.run(&["import", "--format", "events", &file]).await.expect_code(0).output();
        assert!(output.contains(imported), "{output}");
    }
    to.run(&["verify"]).await.expect_code(0);
    let server = to.serve().await;
    assert_eq!(answers(&server).await, expected);
    server.end().await;
    let back = to.run(&["export"]).await.expect_code(0);
    assert!(back.stdout == std::fs::read_to_string(&file).unwrap(), "the same lines again");
}

#[tokio::test]
async fn between_stores_of_one_engine() {
    moved(&Home::new(), &Home::new()).await;
}

/// From the engine of this run to the embedded one, and from that to the engine of this run.
#[tokio::test]
async fn between_engines() {
    moved(&Home::new(), &Home::on(Engine::Sqlite)).await;
    moved(&Home::on(Engine::Sqlite), &Home::new()).await;
}

#[tokio::test]
async fn a_killed_export_is_continued() {
    let home = Home::new();
    filled(&home).await.end().await;
    let whole = home.run(&["export"]).await.expect_code(0).stdout;
    let file = home.path().join("events.jsonl").display().to_string();
    home.run(&["export", "--output", &file]).await.expect_code(0);
    home.run(&["export", "--output", &file]).await.expect_code(1);
    assert!(std::fs::read_to_string(&file).unwrap() == whole, "what is there is not overwritten");
    let mut random = Random::seeded();
    for _ in 0..5 {
        let cut = random.below(whole.len() as u64) as usize;
        std::fs::write(&file, &whole.as_bytes()[..cut]).unwrap();
        home.run(&["export", "--output", &file, "--continue"]).await.expect_code(0);
        assert!(std::fs::read_to_string(&file).unwrap() == whole, "cut at {cut}");
    }
    // The same from line to line, for those who write elsewhere.
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let at = random.below(lines.len() as u64 - 1) as usize;
    let last: Value = serde_json::from_str(lines[at]).unwrap();
    let after = ["site", "created_at", "id"].map(|field| text(&last[field])).join("/");
    let rest = home.run(&["export", "--after", &after]).await.expect_code(0).stdout;
    assert!(rest == lines[at + 1..].concat(), "behind {after}");
    for wrong in [&["export", "--after", "x"][..], &["export", "--continue"]] {
        home.run(wrong).await.expect_code(64);
    }
    std::fs::write(&file, "no export\n").unwrap();
    home.run(&["export", "--output", &file, "--continue"]).await.expect_code(1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "no export\n");
}

#[tokio::test]
async fn lines_that_are_no_events_are_named() {
    let home = Home::new();
    let good = json!({
        "id": uuid(), "site": "default", "visitor_id": uuid(), "event_type": "page_view", "event_data": {},
        "page_url": null, "referrer": null, "created_at": seconds_from_now(-60).to_string(),
    });
    let old = json!({
        "id": uuid(), "site": "default", "visitor_id": uuid(), "event_type": "page_view",
        "created_at": seconds_from_now(-91 * 86_400).to_string(),
    });
    let lines = format!("{good}\nnonsense\n{old}\n{{\"id\":\"hunter2\"}}\n");
    let file = home.write("events.jsonl", lines);
    let output = home.run(&["import", "--format", "events", &file]).await.expect_code(0).output();
    for told in ["1 imported", "1 summarised: older than 90 days", "2 malformed", "events.jsonl:2:", "events.jsonl:4:"]
    {
        assert!(output.contains(told), "{told}: {output}");
    }
    assert!(!output.contains("hunter2"), "{output}");
    for arguments in [
        &["import", "--format", "events", "--site", "x", &file][..],
        &["import", "--format", "events", "--rebase", &file],
    ] {
        home.run(arguments).await.expect_code(64);
    }
    let nothing = home.write("nothing.jsonl", "no\nevents\n");
    home.run(&["import", "--format", "events", &nothing]).await.expect_code(1);
    let server = home.serve().await;
    let timeline = server.send(tests::http::get(format!("{API}/timeline"))).await.json();
    assert_eq!(list(&timeline["data"])[0]["id"], good["id"]);
}
