//! Where reads need a token, they need one everywhere, and collecting never does.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tests::home::Home;
use tests::http::{Request, get, post};
use tests::live::{Live, PATH};
use tests::server::Server;
use tests::wait::until;
use tests::{API, text, uuid};

/// A token made by the sub-command, and its entry.
async fn token(home: &Home, arguments: &[&str]) -> (String, Value) {
    let printed = home.run(&[&["token"], arguments].concat()).await.expect_code(0).stdout;
    let value = |name| {
        let line = printed.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}: {printed}")).trim().to_owned()
    };
    (value("token"), serde_json::from_str(&value("entry")).expect("an entry is JSON"))
}

fn with(token: &str, path: &str) -> Request {
    get(format!("{API}{path}")).header("authorization", format!("Bearer {token}"))
}

async fn visitors(server: &Server, token: &str) -> Vec<String> {
    let answer = server.send(with(token, "/timeline")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    answer["data"].as_array().expect("events").iter().map(|event| text(&event["visitor_id"]).to_owned()).collect()
}

#[tokio::test]
async fn tokens_from_the_sub_command_open_what_they_are_for() {
    let home = Home::new();
    let (all, for_all) = token(&home, &["--name", "all", "--scope", "read"]).await;
    let (other, for_other) = token(&home, &["--name", "other", "--scope", "read", "--site", "other"]).await;
    let path = home.write("tokens.json", json!([for_all, for_other]).to_string());
    let home = home.env("ANALYTICS_READ_AUTH", "token").env("ANALYTICS_TOKENS", path);
    let server = home.serve().await;
    let visitor = uuid();
    for _ in 0..2 {
        server.store(&json!({"event_type": "scroll", "visitor_id": visitor})).await;
    }
    server.send(get(format!("{API}/stats"))).await.refused("no token", 401, "UNAUTHORIZED");
    server.send(with(&all.replace("mcv_", "mcv_0"), "/stats")).await.refused("another token", 401, "UNAUTHORIZED");
    server.send(with(&other, "/stats")).await.refused("another site's token", 403, "FORBIDDEN");
    assert_eq!(server.send(with(&other, "/stats?site=other")).await.status, 200);
    assert_eq!(server.send(with(&all, "/stats")).await.json()["data"]["total_events"], 2);

    // One visitor is one pseudonym for the day, in the timeline and in the feed.
    let shown = visitors(&server, &all).await;
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0] == shown[1] && shown[0] != visitor, "{shown:?}");
    let subprotocols = format!("maicivy, bearer.{all}");
    let headers = [("sec-websocket-protocol", &*subprotocols)];
    let mut live = Live::open(&server, PATH, Ipv4Addr::LOCALHOST, &headers).await;
    assert_eq!(live.next().await["type"], "initial_stats");
    server.store(&json!({"event_type": "scroll", "visitor_id": visitor})).await;
    let event = live.next().await;
    assert_eq!((&event["type"], &event["visitor_id"]), (&json!("scroll"), &json!(shown[0])), "{event}");
    let written = server.written();
    for token in [&all, &other] {
        assert!(!written.contains(&**token), "{written}");
    }
}

#[tokio::test]
async fn that_reads_are_open_is_said_where_others_can_reach_them() {
    let line = "figures are open to all that reach this address";
    for (address, auth, said) in
        [("0.0.0.0:0", "open", true), ("127.0.0.1:0", "open", false), ("0.0.0.0:0", "token", false)]
    {
        let home = Home::new().env("ANALYTICS_ADDR", address).env("ANALYTICS_READ_AUTH", auth);
        let written = home.serve().await.written();
        assert_eq!(written.contains(line), said, "{address} {auth}: {written}");
    }
}

/// With a token, the events of one visitor of today can be asked for; without, no visitor can be followed.
#[tokio::test]
async fn one_visitor_can_be_followed_through_today() {
    tests::clock::away_from_midnight().await;
    let home = Home::new();
    let (all, entry) = token(&home, &["--name", "all", "--scope", "read"]).await;
    let path = home.write("tokens.json", json!([entry]).to_string());
    let server = home.env("ANALYTICS_READ_AUTH", "token").env("ANALYTICS_TOKENS", path).serve().await;
    let (visitor, other) = (uuid(), uuid());
    for (who, page) in [(&visitor, "/a"), (&other, "/x"), (&visitor, "/b"), (&other, "/y"), (&visitor, "/c")] {
        server.store(&json!({"event_type": "page_view", "visitor_id": who, "page_url": page})).await;
    }
    let shown = visitors(&server, &all).await;
    let answer = server.send(with(&all, &format!("/timeline?visitor={}", shown[0]))).await.json();
    let pages: Vec<_> = answer["data"].as_array().unwrap().iter().map(|event| text(&event["page_url"])).collect();
    assert_eq!(pages, ["/c", "/b", "/a"]);
    assert_eq!(answer["meta"]["next_cursor"], Value::Null);

    let open = Server::new().await;
    open.store(&json!({"event_type": "page_view", "visitor_id": visitor})).await;
    let shown = open.data("/timeline").await[0]["visitor_id"].clone();
    let asked = get(format!("{API}/timeline?visitor={}", text(&shown)));
    open.send(asked).await.refused("open reads", 400, "INVALID_VISITOR");
}

#[tokio::test]
async fn a_share_link_opens_one_site_until_it_is_revoked() {
    const ADMIN: &str = "a-token-of-the-operator";
    let home = Home::new().env("ANALYTICS_READ_AUTH", "token").env("ANALYTICS_ADMIN_TOKEN", ADMIN);
    let server = home.serve().await;
    let visitor = uuid();
    for _ in 0..2 {
        server.store(&json!({"event_type": "scroll", "visitor_id": visitor, "site": "a.example"})).await;
    }
    // Made by the sub-command beside the server, and by the server itself.
    let printed = home.run(&["share", "--site", "a.example", "--expires", "30d"]).await.expect_code(0).stdout;
    let by_command =
        printed.split_once("#share=").and_then(|(_, rest)| rest.split_whitespace().next()).expect("a link");
    let new = post("/shares", &json!({"site": "a.example"})).header("authorization", format!("Bearer {ADMIN}"));
    let answer = server.send(new).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let made = answer.json()["data"].take();
    let id = text(&made["id"]);
    for token in [by_command, text(&made["token"])] {
        assert_eq!(server.send(with(token, "/stats?site=a.example")).await.json()["data"]["total_events"], 2);
        server.send(with(token, "/stats")).await.refused("another site", 403, "FORBIDDEN");
        server.send(with(token, "/shares")).await.refused("an admin's call", 403, "FORBIDDEN");
        let metrics = get("/metrics").header("authorization", format!("Bearer {token}"));
        server.send(metrics).await.refused("a call about all sites", 403, "FORBIDDEN");
    }
    // Its readers may be strangers.
    let shown = server.send(with(by_command, "/timeline?site=a.example")).await.json();
    assert_ne!(shown["data"][0]["visitor_id"], shown["data"][1]["visitor_id"], "{shown}");
    let of_one = format!("/timeline?site=a.example&visitor={}", text(&shown["data"][0]["visitor_id"]));
    server.send(with(by_command, &of_one)).await.refused("one visitor", 400, "INVALID_VISITOR");

    let subprotocols = format!("maicivy, bearer.{}", text(&made["token"]));
    let headers = [("sec-websocket-protocol", &*subprotocols)];
    let path = format!("{PATH}?site=a.example");
    let mut live = Live::open(&server, &path, Ipv4Addr::LOCALHOST, &headers).await;
    assert_eq!(live.next().await["type"], "initial_stats");
    let listed = home.run(&["share", "list"]).await.expect_code(0).stdout;
    assert_eq!((listed.lines().count(), listed.contains(id)), (2, true), "{listed}");
    home.run(&["share", "revoke", id]).await.expect_code(0);
    home.run(&["share", "revoke", id]).await.expect_code(1);
    until("the server notices", async || {
        match server.send(with(text(&made["token"]), "/stats?site=a.example")).await.status {
            401 => Ok(()),
            status => Err(status),
        }
    })
    .await;
    let code = loop {
        if let Err(code) = live.next_or_code().await {
            break code;
        }
    };
    assert_eq!(code, Some(1008), "the live connection is closed");
    assert_eq!(server.send(with(by_command, "/stats?site=a.example")).await.status, 200, "the other one is not");
    let written = server.written();
    assert!(!written.contains("mcs_"), "{written}");
}
