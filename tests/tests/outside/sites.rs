//! Sites share nothing.

use serde_json::{Value, json};
use tests::home::Home;
use tests::http::{get, post};
use tests::server::Server;
use tests::{API, list, number, uuid};

fn on(site: &str) -> Value {
    json!({
        "event_type": "page_view", "visitor_id": uuid(), "site": site, "page_url": "/cv?theme=backend",
    })
}

#[tokio::test]
async fn nothing_of_one_shows_on_another() {
    tests::clock::away_from_midnight().await;
    let server = Server::new().await;
    let id = uuid();
    for site in ["a.example", "b.example"] {
        let mut event = on(site);
        event["event_id"] = json!(id);
        assert_eq!(server.event(&event).await.status, 201, "ids are compared within a site");
    }
    server.store(&on("a.example")).await;
    server.store(&json!({"event_type": "letter_generate", "visitor_id": uuid(), "site": "a.example"})).await;
    server
        .store(
            &json!({"event_type": "click", "visitor_id": uuid(), "site": "b.example", "event_data": {"x": 1, "y": 2}}),
        )
        .await;

    for (site, events, letters, themes, clicks) in
        [("a.example", 3, 1, 2, 0), ("b.example", 2, 0, 1, 1), ("default", 0, 0, 0, 0)]
    {
        let realtime = server.data(&format!("/realtime?site={site}")).await;
        assert_eq!(number(&realtime["total_events"]), events, "{site}");
        assert_eq!(number(&realtime["current_visitors"]), events, "{site}");
        let stats = server.data(&format!("/stats?site={site}")).await;
        assert_eq!((number(&stats["total_events"]), number(&stats["letters_generated"])), (events, letters), "{site}");
        let views: u64 =
            list(&server.data(&format!("/themes?site={site}")).await).iter().map(|row| number(&row["views"])).sum();
        assert_eq!(views, themes, "{site}");
        assert_eq!(number(&server.data(&format!("/letters?site={site}")).await["total"]), letters, "{site}");
        assert_eq!(list(&server.data(&format!("/timeline?site={site}")).await).len() as u64, events, "{site}");
        assert_eq!(list(&server.data(&format!("/heatmap?site={site}")).await).len() as u64, clicks, "{site}");
    }
}

#[tokio::test]
async fn only_the_listed_ones() {
    let home = Home::new().env("ANALYTICS_SITES", "cv.example,blog.example");
    let server = home.serve().await;
    server.store(&on("cv.example")).await;
    server.store(&on("blog.example")).await;
    server.event(&on("other.example")).await.refused("an event of a site not listed", 400, "INVALID_SITE");
    for question in ["realtime", "stats", "themes", "letters", "timeline", "heatmap"] {
        let path = format!("{API}/{question}?site=other.example");
        server.send(get(&*path)).await.refused(&path, 400, "INVALID_SITE");
        assert_eq!(server.send(get(path.replace("other", "cv"))).await.status, 200);
    }
    let batch = server.send(post("/events", &json!([on("other.example"), on("cv.example")]))).await.json();
    assert_eq!(batch["data"]["stored"], 1, "{batch}");
    assert_eq!(batch["data"]["rejected"][0]["code"], "INVALID_SITE", "{batch}");
}

/// The number of sites is bounded.
#[tokio::test]
async fn a_thousand_and_not_one_more() {
    let server = Server::new().await;
    for half in 0..2 {
        let sites: Vec<_> = (0..500).map(|n| on(&format!("site-{half}-{n}"))).collect();
        server.store_all(&sites).await;
    }
    server.event(&on("one-more")).await.refused("the 1,001st site", 400, "INVALID_SITE");
    server.store(&on("site-0-7")).await;
    let answer = server.send(post("/events", &json!([on("site-1-7"), on("one-more"), on("site-1-8")]))).await.json();
    assert_eq!(answer["data"]["stored"], 2, "{answer}");
    assert_eq!(answer["data"]["rejected"][0]["index"], 1, "{answer}");
}
