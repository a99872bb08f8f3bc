//! What becomes of a single event, and how it is answered.

use serde_json::{Value, json};
use tests::answer::Answer;
use tests::home::Home;
use tests::http::post;
use tests::server::Server;
use tests::{BOT, BROWSER, list, number, text, uuid};

#[track_caller]
fn filtered(answer: &Answer, reason: &str) {
    assert_eq!(answer.status, 202, "{}", answer.text());
    let body = answer.json();
    assert_eq!((&body["success"], &body["data"]["outcome"]), (&json!(true), &json!("filtered")), "{body}");
    assert_eq!(body["data"]["reason"], reason, "{body}");
}

async fn stored(server: &Server) -> u64 {
    number(&server.data("/realtime").await["total_events"])
}

#[tokio::test]
async fn stored_once_and_then_a_duplicate() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let event = json!({
        "event_type": "button_click", "event_data": {"button": "cta", "x": 45.2, "y": 20},
        "page_url": "/cv?theme=backend", "visitor_id": uuid(), "event_id": uuid(), "site": "default",
        "referrer": "https://search.example/",
    });
    let answer = server.event(&event).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(
        answer.json(),
        json!({
            "success": true, "message": "Event tracked successfully",
            "data": {"id": event["event_id"], "outcome": "stored"},
        })
    );
    for _ in 0..3 {
        let mut again = event.clone();
        again["event_type"] = json!("letter_generate");
        again["visitor_id"] = json!(uuid());
        let answer = server.event(&again).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        assert_eq!((&body["success"], &body["data"]["outcome"]), (&json!(true), &json!("duplicate")), "{body}");
        assert_eq!(body["data"]["id"], event["event_id"]);
    }
    let now = server.data("/realtime").await;
    assert_eq!(
        ["total_events", "unique_today", "current_visitors", "letters_today"].map(|name| number(&now[name])),
        [1, 1, 1, 0]
    );
}

/// The id may be spelled as any UUID may; it is the same event.
#[tokio::test]
async fn one_id_in_two_spellings() {
    let server = Server::new().await;
    let id = uuid();
    let event = |id: &str| json!({"event_type": "scroll", "visitor_id": uuid(), "event_id": id});
    assert_eq!(server.event(&event(&id)).await.status, 201);
    assert_eq!(server.event(&event(&id.to_uppercase())).await.status, 200);
}

#[tokio::test]
async fn an_event_without_an_id_gets_one() {
    let server = Server::new().await;
    let event = json!({"event_type": "scroll", "visitor_id": uuid()});
    let first = server.store(&event).await;
    let second = server.store(&event).await;
    assert_ne!(first, second);
    for id in [&first, &second] {
        assert!(id.len() == 36, "a UUID: {id}");
    }
    let timeline = server.data("/timeline").await;
    let ids: Vec<_> = list(&timeline).iter().map(|event| text(&event["id"])).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&&*first) && ids.contains(&&*second));
}

/// Names of older clients are names of the same types.
#[tokio::test]
async fn aliases_of_older_clients() {
    let server = Server::new().await;
    for (alias, name) in [
        ("pageview", "page_view"),
        ("cv_theme_selected", "cv_theme_change"),
        ("letter_generated", "letter_generate"),
        ("pdf_downloaded", "pdf_download"),
        ("click", "button_click"),
        ("page_view", "page_view"),
        ("link_click", "link_click"),
        ("form_submit", "form_submit"),
        ("hover", "hover"),
        ("signup.step-2:done_x", "signup.step-2:done_x"),
    ] {
        server.store(&json!({"event_type": alias, "visitor_id": uuid()})).await;
        let newest = server.data("/timeline?limit=1").await;
        assert_eq!(newest[0]["event_type"], name, "{alias}");
    }
}

/// Bots are recognised by their user agent, unless the sender names the visitor, as servers and
/// curl do.
#[tokio::test]
async fn bots_are_filtered() {
    let server = Server::new().await;
    let bare = json!({"event_type": "page_view"});
    for agent in [BOT, "curl/8.5.0", "python-requests/2.31"] {
        filtered(&server.send(post("/event", &bare).header("user-agent", agent)).await, "bot");
    }
    assert_eq!(stored(&server).await, 0);
    let named = json!({"event_type": "page_view", "visitor_id": uuid()});
    assert_eq!(server.send(post("/event", &named).header("user-agent", BOT)).await.status, 201);
    let named = post("/event", &bare).header("user-agent", "curl/8.5.0").header("x-visitor-id", uuid());
    assert_eq!(server.send(named).await.status, 201);
    assert_eq!(server.send(post("/event", &bare).header("user-agent", BROWSER)).await.status, 201);
}

#[tokio::test]
async fn who_opts_out_is_left_out() {
    let server = Server::new().await;
    let event = json!({"event_type": "page_view", "visitor_id": uuid()});
    for header in ["dnt", "sec-gpc"] {
        filtered(&server.send(post("/event", &event).header(header, "1")).await, "opt_out");
        let batch = server.send(post("/events", &json!([event, event])).header(header, "1")).await;
        assert_eq!(batch.json()["data"]["filtered"], 2, "{}", batch.text());
    }
    assert_eq!(stored(&server).await, 0);
    for header in ["dnt", "sec-gpc"] {
        assert_eq!(server.send(post("/event", &event).header(header, "0")).await.status, 201);
    }

    let heedless = Home::new().env("ANALYTICS_HONOR_OPT_OUT", "false").serve().await;
    assert_eq!(heedless.send(post("/event", &event).header("dnt", "1")).await.status, 201);
}

#[tokio::test]
async fn no_visitor_can_be_told() {
    let server = Server::new().await;
    let bare = json!({"event_type": "page_view"});
    server.event(&bare).await.refused("neither id nor user agent", 400, "MISSING_VISITOR");
    let batch = server.send(post("/events", &json!([bare]))).await.json();
    assert_eq!(batch["data"]["rejected"][0]["code"], "MISSING_VISITOR", "{batch}");

    let explicit = Home::new().env("ANALYTICS_IDENTITY", "explicit").serve().await;
    let browser = explicit.send(post("/event", &bare).header("user-agent", BROWSER)).await;
    browser.refused("cookieless visitors are turned off", 400, "MISSING_VISITOR");
    let session =
        post("/event", &bare).header("user-agent", BROWSER).header("cookie", format!("maicivy_session={}", uuid()));
    assert_eq!(explicit.send(session).await.status, 201);
}

/// What the store keeps is what was sent.
#[tokio::test]
async fn the_timeline_shows_what_was_sent() {
    let server = Server::new().await;
    let data: Value =
        json!({"b": [1, 2.5, null, true], "a": {"é": "\u{1F600}\n\"'"}, "z": -0.001, "big": 9_007_199_254_740_991_u64});
    let at = tests::clock::seconds_from_now(-60).strftime("%Y-%m-%dT%H:%M:%S.125Z").to_string();
    let id = uuid();
    server
        .store(&json!({
            "event_type": "form_submit", "event_data": data, "page_url": "https://cv.example/contact?ref=x",
            "referrer": "https://search.example/find?utm_source=y", "visitor_id": uuid(), "event_id": id, "timestamp": at,
        }))
        .await;
    let event = server.data("/timeline").await[0].take();
    assert_eq!(
        [
            &event["id"],
            &event["event_type"],
            &event["event_data"],
            &event["page_url"],
            &event["referrer"],
            &event["created_at"]
        ],
        [
            &json!(id),
            &json!("form_submit"),
            &data,
            &json!("https://cv.example/contact?ref=x"),
            &json!("https://search.example/find?utm_source=y"),
            &json!(at)
        ]
    );
    server.store(&json!({"event_type": "scroll", "visitor_id": uuid()})).await;
    let least = server.data("/timeline?limit=1").await[0].take();
    assert_eq!(
        [&least["event_data"], &least["page_url"], &least["referrer"]],
        [&json!({}), &Value::Null, &Value::Null]
    );
}
