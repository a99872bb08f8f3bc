//! The figures of a known set of events.

use serde_json::{Value, json};
use tests::clock::{away_from_midnight, day_of, days_ago, month_key, seconds_from_now, today, week_key};
use tests::server::Server;
use tests::{list, number, text, uuid};

fn event(event_type: &str, visitor: &str, data: Value) -> Value {
    json!({"event_type": event_type, "visitor_id": visitor, "event_data": data, "page_url": "/cv"})
}

/// Three visitors; six page views, two letters of one type, one of the other and one of none.
async fn known(server: &Server) {
    let [ann, bob, cid] = [uuid(), uuid(), uuid()];
    let letter = |visitor: &str, data| event("letter_generate", visitor, data);
    server
        .store_all(&[
            event("page_view", &ann, json!({})),
            event("page_view", &ann, json!({"theme": "backend"})),
            event("pageview", &bob, json!({"theme": "backend"})),
            event("page_view", &bob, json!({"theme": "devops"})),
            event("page_view", &cid, json!({"theme": "ai"})),
            json!({"event_type": "page_view", "visitor_id": cid, "page_url": "/cv?theme=backend&x=1"}),
            event("cv_theme_change", &cid, json!({"theme": "devops"})),
            event("cv_theme_selected", &cid, json!({"theme": "ai"})),
            letter(&ann, json!({"letter_type": "motivation"})),
            letter(&ann, json!({"letter_type": "motivation"})),
            letter(&bob, json!({"letter_type": "anti_motivation"})),
            letter(&bob, json!({})),
            event("scroll", &ann, json!({"theme": "not a theme of a scroll"})),
        ])
        .await;
}

#[tokio::test]
async fn stats() {
    away_from_midnight().await;
    let server = Server::new().await;
    known(&server).await;
    for (period, key) in [("day", today().to_string()), ("week", week_key(today())), ("month", month_key(today()))] {
        let stats = server.data(&format!("/stats?period={period}")).await;
        assert_eq!((text(&stats["period"]), text(&stats["period_key"])), (period, &*key));
        let figures = ["total_events", "page_views", "letters_generated", "unique_visitors"];
        assert_eq!(figures.map(|name| number(&stats[name])), [13, 6, 4, 3], "{stats}");
        let rate = stats["conversion_rate"].as_f64().unwrap();
        assert!((rate - 4.0 / 3.0).abs() < 0.01, "{stats}");
    }
    let default = server.data("/stats").await;
    assert_eq!((text(&default["period"]), number(&default["total_events"])), ("day", 13));
    let empty = server.data("/stats?date=2020-02-29").await;
    assert_eq!((text(&empty["period_key"]), number(&empty["unique_visitors"])), ("2020-02-29", 0));
    assert_eq!(empty["conversion_rate"].as_f64(), Some(0.0));
}

#[tokio::test]
async fn themes() {
    away_from_midnight().await;
    let server = Server::new().await;
    known(&server).await;
    for question in ["/themes", "/themes?period=day", "/themes?period=week", "/themes?period=month"] {
        let rows = server.data(question).await;
        let found: Vec<_> = list(&rows).iter().map(|row| (text(&row["theme"]), number(&row["views"]))).collect();
        assert_eq!(found, [("backend", 3), ("ai", 2), ("devops", 2)], "{question}: ties by name");
        for row in list(&rows) {
            assert_eq!(row["count"], row["views"]);
            let share = 100.0 * row["views"].as_f64().unwrap() / 7.0;
            assert!((row["percentage"].as_f64().unwrap() - share).abs() < 0.1, "{row}");
        }
    }
    let one = server.data("/themes?limit=1").await;
    assert_eq!(list(&one).len(), 1);
    assert!((one[0]["percentage"].as_f64().unwrap() - 42.857).abs() < 0.1, "of all theme views: {one}");
}

#[tokio::test]
async fn letters() {
    away_from_midnight().await;
    let server = Server::new().await;
    known(&server).await;
    let today = today();
    let week_day = i64::from(today.weekday().to_monday_one_offset());
    for (period, key, days) in [
        ("day", today.to_string(), 1),
        ("week", week_key(today), week_day),
        ("month", month_key(today), i64::from(today.day())),
    ] {
        let letters = server.data(&format!("/letters?period={period}")).await;
        assert_eq!((text(&letters["period"]), text(&letters["period_key"])), (period, &*key));
        let figures = ["total", "motivation", "anti_motivation", "unique_visitors"];
        assert_eq!(figures.map(|name| number(&letters[name])), [4, 2, 1, 3], "{letters}");
        assert!((letters["conversion_rate"].as_f64().unwrap() - 4.0 / 3.0).abs() < 0.01, "{letters}");
        let history: Vec<_> = list(&letters["history"])
            .iter()
            .map(|entry| (text(&entry["date"]).to_owned(), number(&entry["count"])))
            .collect();
        let expected: Vec<_> =
            (0..days).rev().map(|ago| (days_ago(ago).to_string(), if ago == 0 { 4 } else { 0 })).collect();
        assert_eq!(history, expected, "{period}: every day so far, zeros included");
    }
}

#[tokio::test]
async fn realtime() {
    away_from_midnight().await;
    let server = Server::new().await;
    known(&server).await;
    let now = server.data("/realtime").await;
    let figures = ["current_visitors", "unique_today", "total_events", "letters_today"];
    assert_eq!(figures.map(|name| number(&now[name])), [3, 3, 13, 4], "{now}");
    let clock = seconds_from_now(0).as_second();
    assert!(now["timestamp"].as_i64().unwrap().abs_diff(clock) <= 5, "{now}");
}

/// Late events count where they belong: in the day of their own time.
#[tokio::test]
async fn late_events_count_in_their_own_day() {
    away_from_midnight().await;
    let server = Server::new().await;
    let visitor = uuid();
    let late = seconds_from_now(-23 * 3600 - 1800);
    let mut letter = event("letter_generate", &visitor, json!({"letter_type": "motivation"}));
    letter["timestamp"] = json!(late.to_string());
    server.store(&letter).await;
    let mut view = event("page_view", &visitor, json!({"theme": "late"}));
    view["timestamp"] = json!(late.to_string());
    server.store(&view).await;
    server.store(&event("scroll", &visitor, json!({}))).await;

    let on_time = u64::from(day_of(late) == today());
    let of = async |date: String| server.data(&format!("/stats?date={date}")).await;
    let (then, now) = (of(day_of(late).to_string()).await, of(today().to_string()).await);
    assert_eq!(number(&then["letters_generated"]), 1, "{then}");
    assert_eq!(number(&now["total_events"]), 1 + 2 * on_time, "{now}");
    assert_eq!(number(&now["letters_generated"]), on_time, "{now}");
    assert_eq!((number(&then["unique_visitors"]), number(&now["unique_visitors"])), (1, 1));
    assert_eq!(number(&server.data("/realtime").await["current_visitors"]), 1);
    for (period, same) in [
        ("week", week_key(day_of(late)) == week_key(today())),
        ("month", month_key(day_of(late)) == month_key(today())),
    ] {
        let stats = server.data(&format!("/stats?period={period}")).await;
        assert_eq!(number(&stats["total_events"]), if same { 3 } else { 1 }, "{stats}");
        assert_eq!(number(&stats["unique_visitors"]), 1, "{stats}");
    }
    assert_eq!(list(&server.data("/themes?period=day").await).len() as u64, on_time);
    assert_eq!(list(&server.data("/themes").await).len(), 1, "without a period: all days that are kept");
}
