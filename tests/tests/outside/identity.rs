//! Who a visitor is, and what is shown of them.

use serde_json::{Value, json};
use tests::http::{Request, post};
use tests::server::Server;
use tests::{BROWSER, number, text, uuid};

fn view() -> Value {
    json!({"event_type": "page_view", "page_url": "/"})
}

fn of(visitor: &str) -> Request {
    post("/event", &json!({"event_type": "page_view", "page_url": "/", "visitor_id": visitor}))
}

/// Stores an event and answers what the timeline shows of its visitor.
async fn shown(server: &Server, request: Request) -> String {
    let answer = server.send(request).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.json()["data"]["id"].take();
    let timeline = server.data("/timeline?limit=1").await;
    assert_eq!(timeline[0]["id"], id, "it is the newest");
    text(&timeline[0]["visitor_id"]).to_owned()
}

/// Body, header, cookie, and only then the cookieless visitor.
#[tokio::test]
async fn the_first_that_names_a_visitor_wins() {
    let server = Server::new().await;
    let [body, header, cookie] = [uuid(), uuid(), uuid()];
    let [by_body, by_header, by_cookie] =
        [shown(&server, of(&body)).await, shown(&server, of(&header)).await, shown(&server, of(&cookie)).await];
    let session = format!("theme=dark; maicivy_session={cookie}; other=1");

    let all = |request: Request| request.header("user-agent", BROWSER).header("cookie", &*session);
    assert_eq!(shown(&server, all(of(&body).header("x-visitor-id", &*header))).await, by_body);
    assert_eq!(shown(&server, all(post("/event", &view()).header("x-visitor-id", &*header))).await, by_header);
    assert_eq!(shown(&server, all(post("/event", &view()))).await, by_cookie);
    let cookieless = shown(&server, post("/event", &view()).header("user-agent", BROWSER)).await;
    assert!(![by_body, by_header, by_cookie].contains(&cookieless));
    assert_eq!(number(&server.data("/realtime").await["current_visitors"]), 4);
}

#[tokio::test]
async fn cookieless_visitors_are_told_apart_by_address_agent_and_site() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let browser = || post("/event", &view()).header("user-agent", BROWSER);
    let first = shown(&server, browser()).await;
    assert_eq!(shown(&server, browser()).await, first, "the same visitor again");
    let other_agent = shown(&server, post("/event", &view()).header("user-agent", BROWSER.replace("140", "141"))).await;
    let other_address = shown(&server, browser().from([127, 3, 2, 1].into())).await;
    assert_ne!(other_agent, first);
    assert_ne!(other_address, first);
    assert_ne!(other_address, other_agent);
    assert_eq!(number(&server.data("/realtime").await["unique_today"]), 3);

    let elsewhere = json!({"event_type": "page_view", "site": "elsewhere"});
    server.send(post("/event", &elsewhere).header("user-agent", BROWSER)).await;
    let timeline = server.data("/timeline?site=elsewhere").await;
    assert_ne!(text(&timeline[0]["visitor_id"]), first, "no one is followed from site to site");
}

/// The salt of the day is in the store, so a restart changes nobody.
#[tokio::test]
async fn visitors_outlive_a_restart() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let browser = || post("/event", &view()).header("user-agent", BROWSER);
    let named = uuid();
    let before = [shown(&server, browser()).await, shown(&server, of(&named)).await];
    let server = server.kill().await.serve().await;
    let after = [shown(&server, browser()).await, shown(&server, of(&named)).await];
    assert_eq!(before, after);
    assert_eq!(number(&server.data("/realtime").await["unique_today"]), 2);
}

/// What is shown of a visitor is of no use for sending events in their name.
#[tokio::test]
async fn pseudonyms() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let [joe, ann] = [uuid(), uuid()];
    let [shown_joe, shown_ann] = [shown(&server, of(&joe)).await, shown(&server, of(&ann)).await];
    assert_ne!(shown_joe, joe);
    assert_ne!(shown_joe, shown_ann);
    assert_eq!(shown(&server, of(&joe)).await, shown_joe);
    assert_eq!(number(&server.data("/realtime").await["unique_today"]), 2);
    let impostor = shown(&server, of(&shown_joe)).await;
    assert_ne!(impostor, shown_joe);
    assert_eq!(number(&server.data("/realtime").await["unique_today"]), 3, "somebody else");

    let other = Server::new().await;
    assert_ne!(shown(&other, of(&joe)).await, shown_joe, "every store has a key of its own");
}
