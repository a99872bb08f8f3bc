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

/// Stores an event and answers how many visitors there are today.
async fn visitors_after(server: &Server, request: Request) -> u64 {
    let answer = server.send(request).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    number(&server.data("/realtime").await["unique_today"])
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

/// Body, header, cookie, and only then the cookieless visitor. On a site of its own, the visitor that
/// wins is known already.
#[tokio::test]
async fn the_first_that_names_a_visitor_wins() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let [body, header, cookie] = [uuid(), uuid(), uuid()];
    let session = format!("theme=dark; maicivy_session={cookie}; other=1");
    for (site, first, named, by_header) in [
        ("body", Some(&*body), Some(&*body), true),
        ("header", Some(&*header), None, true),
        ("cookie", Some(&*cookie), None, false),
        ("cookieless", None, None, false),
    ] {
        let event = |visitor: Option<&str>| match visitor {
            Some(visitor) => json!({"event_type": "page_view", "site": site, "visitor_id": visitor}),
            None => json!({"event_type": "page_view", "site": site}),
        };
        let known = post("/event", &event(first)).header("user-agent", BROWSER);
        assert_eq!(server.send(known).await.status, 201);
        let mut all = post("/event", &event(named)).header("user-agent", BROWSER);
        if by_header {
            all = all.header("x-visitor-id", &*header);
        }
        if site != "cookieless" {
            all = all.header("cookie", &*session);
        }
        assert_eq!(server.send(all).await.status, 201);
        let today = server.data(&format!("/realtime?site={site}")).await;
        assert_eq!((number(&today["unique_today"]), number(&today["total_events"])), (1, 2), "{site}");
    }
}

#[tokio::test]
async fn cookieless_visitors_are_told_apart_by_address_and_agent() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let browser = || post("/event", &view()).header("user-agent", BROWSER);
    assert_eq!(visitors_after(&server, browser()).await, 1);
    assert_eq!(visitors_after(&server, browser()).await, 1, "the same visitor again");
    let other_agent = post("/event", &view()).header("user-agent", BROWSER.replace("140", "141"));
    assert_eq!(visitors_after(&server, other_agent).await, 2);
    assert_eq!(visitors_after(&server, browser().from([127, 3, 2, 1].into())).await, 3);
}

/// The salt of the day is in the store, so a restart changes no visitor.
#[tokio::test]
async fn visitors_outlive_a_restart() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let browser = || post("/event", &view()).header("user-agent", BROWSER);
    let named = uuid();
    visitors_after(&server, browser()).await;
    assert_eq!(visitors_after(&server, of(&named)).await, 2);
    let before = server.data("/timeline").await;
    let server = server.kill().await.serve().await;
    assert_eq!(server.data("/timeline").await, before, "events keep their pseudonyms");
    assert_eq!(visitors_after(&server, browser()).await, 2);
    assert_eq!(visitors_after(&server, of(&named)).await, 2);
}

/// What is shown of a visitor is of no use for sending events in their name, nor for linking their events:
/// a page that sends a marker from a visitor's browser learns nothing else of the visitor.
#[tokio::test]
async fn pseudonyms() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let joe = uuid();
    let shown_joe = shown(&server, of(&joe)).await;
    assert_ne!(shown_joe, joe);
    assert_ne!(shown(&server, of(&joe)).await, shown_joe, "another event, another pseudonym");
    assert_eq!(number(&server.data("/realtime").await["unique_today"]), 1);
    let impostor = shown(&server, of(&shown_joe)).await;
    assert_ne!(impostor, shown_joe);
    assert_eq!(number(&server.data("/realtime").await["unique_today"]), 2, "another visitor");
}
