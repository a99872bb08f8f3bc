//! What version 0.1.0 left in a table: counters of values, click cells and presence.

use aws_sdk_dynamodb::types::AttributeValue;
use common::period::{Period, PeriodKey};
use common::store::conformance::samples::{at, event, on_page, quiet, site};
use common::store::roles::*;
use common::store::{BlockKind, Position, TimelineFrom};
use common::time::{DAY, Timestamp};

use crate::table::Table;

fn number(n: impl ToString) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

/// Items as version 0.1.0 wrote them, each with the time to live that it had.
async fn put_old_items(table: &Table, now: Timestamp) {
    let day = format!("{:07}", now.day().number());
    let ttl = |days: i64| ("ttl", number(now.plus(days * DAY).seconds()));
    let count = |n: u32, days| [("n", number(n)), ttl(days)];
    table.put("v#default#2", &format!("{day}#0backend"), &count(5, 400)).await;
    table.put("v#default#1", &format!("{day}#0signup"), &count(7, 400)).await;
    table.put("h#default", &format!("2#{day}"), &count(1, 400)).await;
    table.put("k#default", &format!("{day}#00112233445566778899aabbccddeeff"), &[ttl(10)]).await;
    let place = [("page", "/"), ("el", "a")].map(|(name, text)| (name, AttributeValue::S(text.to_owned())));
    let cell = [place.to_vec(), vec![("x", number(1)), ("y", number(2))], count(3, 10).to_vec()].concat();
    table.put("c#default", &format!("{:08}#00112233445566778899aabbccddeeff", now.hour()), &cell).await;
    let minute = format!("{:08x}#00000000000000000000000000000009", now.millis() / 60_000);
    table.put("p#default", &minute, &[ttl(0)]).await;
}

/// Totals of version 0.1.0 also counted the built-in types that are no total now.
async fn add_old_totals(table: &Table) {
    for item in table.items().await.iter().filter(|item| item.pk() == "t#default") {
        table.add(item, "e1", 2).await;
        table.add(item, "e7", 4).await;
    }
}

#[tokio::test]
async fn items_of_version_0_1_0_disturb_nothing_and_expire() {
    let Some(table) = Table::fresh().await else { return };
    let store = table.open().await;
    let now = at("2025-12-08T10:00:00Z");
    let views = (0..5).map(|who| on_page(event("page_view", who % 2, now), "/cv?theme=a")).collect();
    store.append(views, now).await.unwrap();
    let answers = async || {
        (
            store.totals(&site(), PeriodKey::of(Period::Month, now.day())).await.unwrap(),
            store.daily(&site(), now.day().plus(-30)..now.day().plus(1)).await.unwrap(),
            store.realtime(&site(), now, 300_000).await.unwrap(),
            store.timeline(&site(), TimelineFrom::all(0), 100).await.unwrap(),
            store.committed_after(&site(), Position(0), 100).await.unwrap(),
            store.blocks(&site(), BlockKind::Segment, now.day()..now.day().plus(1)).await.unwrap(),
            store.sites().await.unwrap(),
            store.event_days(now).await.unwrap(),
        )
    };
    let before = answers().await;
    assert_eq!((before.0.events, before.0.visitors), (5, 2));
    put_old_items(&table, now).await;
    add_old_totals(&table).await;
    assert_eq!(answers().await, before);
    assert_eq!(store.verify(now, quiet()).await.unwrap().differences, []);
    assert_eq!(store.rebuild(now, quiet()).await.unwrap().differences, []);
    assert!(store.delete_before(now.day().plus(-90), now).await.unwrap().done);
    assert_eq!(answers().await, before);

    // No cleanup deletes them: the service does, at the time that each of them carries.
    let left = |item: &crate::table::Item| "vhkcp".contains(item.pk().split('#').next().unwrap());
    let old: Vec<_> = table.items().await.into_iter().filter(|item| left(item) && item.pk() != "h").collect();
    assert_eq!(old.len(), 6);
    let latest = now.plus(400 * DAY).seconds();
    assert!(old.iter().all(|item| item.ttl().is_some_and(|ttl| ttl <= latest)), "{old:?}");
}
