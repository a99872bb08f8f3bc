//! Sites without data are removed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use common::event::{Event, EventData};
use common::event_type::EventType;
use common::measure::facts::Facts;
use common::measure::site_goals::SiteGoals;
use common::retention;
use common::site::Site;
use common::store::{Appended, BlockKind};
use common::testing::TestApp;
use common::time::Timestamp;
use serde_json::json;

const NOW: &str = "2025-12-08T10:00:00Z";

fn site(name: &str) -> Site {
    Site::parse(name).unwrap()
}

async fn append(test: &TestApp, sites: impl Iterator<Item = String>, at: &str) {
    let at = Timestamp::parse(at).unwrap();
    let event = |name: String| Event {
        id: test.app.source.event_id(at),
        site: site(&name),
        visitor: uuid::Uuid::from_u128(1).into(),
        event_type: EventType::Scroll,
        data: EventData::EMPTY,
        page_url: None,
        referrer: None,
        created_at: at,
        facts: Facts::default(),
    };
    let events: Vec<Event> = sites.map(event).collect();
    let appended = test.app.append(&events, at).await.unwrap();
    assert_eq!(appended, vec![Appended::Stored; events.len()]);
}

async fn clean(test: &TestApp, at: &str) -> BTreeSet<Site> {
    retention::run(&test.app, Timestamp::parse(at).unwrap()).await.unwrap();
    test.app.store.sites().await.unwrap().into_iter().collect()
}

/// More sites than half of what there may be.
#[tokio::test]
async fn invented_sites_are_removed_until_half_of_all_places_are_free() {
    let test = TestApp::start(&[], cleanup::router, NOW).await;
    // A real one that was quiet since has more events than an invented one.
    append(&test, ["default", "quiet", "quiet"].map(str::to_owned).into_iter(), NOW).await;
    append(&test, (2..Site::MOST / 2 + 20).map(|number| format!("s{number}")), NOW).await;
    for night in ["2025-12-10T02:00:00Z", "2026-03-08T02:00:00Z"] {
        assert_eq!(clean(&test, night).await.len(), Site::MOST / 2 + 20, "{night}: events are kept");
    }
    let left = clean(&test, "2026-04-20T02:00:00Z").await;
    assert_eq!(left.len(), Site::MOST / 2);
    assert!(left.contains(&site("quiet")) && left.contains(&Site::default()));
    // Summaries are found by name.
    let day = Timestamp::parse(NOW).unwrap().day();
    let totals = test.app.store.blocks(&site("s2"), BlockKind::Totals, day..day.plus(1)).await.unwrap();
    assert_eq!(totals.len(), 1);
}

#[tokio::test]
async fn new_names_do_not_displace_a_quiet_site() {
    let test = TestApp::start(&[], cleanup::router, NOW).await;
    append(&test, ["quiet", "quiet"].map(str::to_owned).into_iter(), NOW).await;
    clean(&test, "2025-12-10T02:00:00Z").await;
    append(&test, (0..Site::MOST / 2 + 20).map(|number| format!("s{number}")), "2026-04-20T01:00:00Z").await;
    let left = clean(&test, "2026-04-20T02:00:00Z").await;
    assert!(left.contains(&site("quiet")));
}

#[tokio::test]
async fn a_site_stays_as_long_as_anything_of_it_does() {
    let vars = [("ANALYTICS_SITES", "listed"), ("ANALYTICS_SUMMARY_MONTHS", "6")];
    let test = TestApp::start(&vars, cleanup::router, NOW).await;
    let names = ["listed", "shared", "with-goals", "gone"];
    append(&test, names.into_iter().map(str::to_owned), NOW).await;
    test.app.share(&site("shared"), None).await.unwrap().unwrap();
    let goals = json!({"goals": [{"name": "Sign-up", "event": "signup"}]});
    let goals = SiteGoals::parse(&goals, &[]).unwrap();
    test.app.measure.put_site_goals(&*test.app.store, &site("with-goals"), goals).await.unwrap();
    for (night, stays) in [
        ("2025-12-10T02:00:00Z", true),
        ("2026-05-01T02:00:00Z", true),
        // Without a summary, but with totals of the week and the month.
        ("2026-11-01T02:00:00Z", true),
        ("2027-01-20T02:00:00Z", false),
    ] {
        let left = clean(&test, night).await;
        assert_eq!(left.contains(&site("gone")), stays, "{night}");
        assert!(names[..3].iter().all(|name| left.contains(&site(name))), "{night}");
    }
}
