//! No client can make a new time series at will. (In the earlier service the path label was
//! whatever the client asked for.)

use serde_json::json;
use tests::http::{get, request};
use tests::server::Server;
use tests::wait::until;
use tests::{API, uuid};

/// 200 values, and `other`.
const MOST: usize = 201;

#[tokio::test]
async fn hostile_names() {
    let server = Server::new().await;
    let sent = |n: usize| {
        [
            json!({"event_type": "page_view", "visitor_id": uuid(), "page_url": format!("/page-{n}?theme=theme-{n}")}),
            json!({"event_type": format!("custom-{n}"), "visitor_id": uuid(), "site": format!("site-{n}")}),
        ]
    };
    let events: Vec<_> = (0..300).flat_map(sent).collect();
    for batch in events.chunks(300) {
        server.store_all(batch).await;
    }
    let mut connection = server.connect().await.unwrap();
    for n in 0..300 {
        connection.send(&get(format!("/missing-{n}/page-{n}.html"))).await.unwrap();
        connection.send(&get(format!("{API}/unknown-{n}?page=/{n}"))).await.unwrap();
        connection.send(&request(&format!("METHOD{n}"), format!("{API}/realtime"))).await.unwrap();
    }
    // The first scrape is itself a request, which the second one shows. Themes are asked of all
    // sites, which may take longer than a scrape waits.
    server.scrape().await;
    let before = until("themes have labels of their own", async || {
        let scrape = server.scrape().await;
        let themes = scrape.values("maicivy_cv_theme_views", "theme").len();
        if themes > 100 { Ok(scrape) } else { Err(themes) }
    })
    .await;
    for (name, label) in before.labels() {
        let values = before.values(name, label).len();
        assert!(values <= MOST, "{name} has {values} values of {label}");
    }
    for (family, label) in [
        ("maicivy_events_total", "event_type"),
        ("maicivy_page_views_total", "path"),
        ("maicivy_cv_theme_views", "theme"),
    ] {
        let values = before.values(family, label);
        assert!(values.len() > 100, "{family} tells some apart");
        assert!(family == "maicivy_cv_theme_views" || values.contains("other"), "{family}: the rest are other");
    }
    assert_eq!(before.sum("maicivy_events_total", &[]) as u64, 600, "everything is counted somewhere");
    assert_eq!(before.sum("maicivy_page_views_total", &[]) as u64, 300);
    let methods = before.values("maicivy_analytics_request_duration_seconds_count", "method");
    assert!(methods.len() <= 10, "{methods:?}");
    let endpoints = before.values("maicivy_analytics_request_duration_seconds_count", "endpoint");
    assert!(endpoints.len() <= 30, "{endpoints:?}");

    // The same once more, with other names: not one series more.
    for n in 300..400 {
        connection.send(&get(format!("/missing-{n}"))).await.unwrap();
        connection.send(&request(&format!("METHOD{n}"), format!("{API}/realtime"))).await.unwrap();
        for event in sent(n) {
            server.event(&event).await;
        }
    }
    let after = server.scrape().await;
    let single = ["maicivy_events_total", "maicivy_page_views_total", "maicivy_cv_theme_views"];
    for family in single {
        let count = |scrape: &tests::scrape::Scrape| {
            scrape
                .labels()
                .iter()
                .filter(|(name, _)| *name == family)
                .map(|(name, label)| scrape.values(name, label).len())
                .sum::<usize>()
        };
        assert!(count(&after) <= count(&before).max(MOST), "{family}");
    }
    let values = |scrape: &tests::scrape::Scrape| {
        ["endpoint", "method"]
            .map(|label| scrape.values("maicivy_analytics_request_duration_seconds_count", label).len())
    };
    assert!(values(&after)[0] <= values(&before)[0] + 1, "the endpoint /event is new, and nothing else");
    assert_eq!(values(&after)[1], values(&before)[1]);
}

/// Statuses are numbers, as text. (In the earlier service they were control characters.)
#[tokio::test]
async fn statuses() {
    let server = Server::new().await;
    server.send(get("/nothing")).await;
    server.data("/stats").await;
    server.send(get(format!("{API}/stats?period=x"))).await;
    let scrape = server.scrape().await;
    let statuses = scrape.values("maicivy_analytics_request_duration_seconds_count", "status");
    assert!(statuses.contains("200") && statuses.contains("400"), "{statuses:?}");
    for status in statuses {
        assert!(status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()), "{status:?}");
    }
}
