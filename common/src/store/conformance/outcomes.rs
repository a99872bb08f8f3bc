//! Counters of what was not stored.

use super::Fixture;
use super::samples::{at, day, event, put, site};
use crate::outcome::{Code, Filter, NotStored};
use crate::site::Site;
use crate::store::not_stored::Counts;

pub async fn what_was_not_stored_adds_up(mut fixture: impl Fixture) {
    let store = fixture.store();
    let monday = day("2025-12-08");
    let week = monday..monday.plus(7);
    assert_eq!(store.not_stored(&site(), week.clone()).await.unwrap(), Counts::new());
    // Every kind comes back as itself.
    let all: Counts = NotStored::all().zip(1..).collect();
    store.add_not_stored(&site(), monday, &all).await.unwrap();
    assert_eq!(store.not_stored(&site(), week.clone()).await.unwrap(), all);
    let bots = Counts::from([(NotStored::Filtered(Filter::Bot), 40), (NotStored::Failed, 2)]);
    store.add_not_stored(&site(), monday, &bots).await.unwrap();
    store.add_not_stored(&site(), monday.plus(6), &bots).await.unwrap();
    // Neither of these days nor of this site.
    store.add_not_stored(&site(), monday.plus(7), &bots).await.unwrap();
    store.add_not_stored(&site(), monday.plus(-1), &bots).await.unwrap();
    store.add_not_stored(&Site::parse("other").unwrap(), monday, &bots).await.unwrap();
    let mut sums = all;
    for (outcome, n) in bots {
        *sums.get_mut(&outcome).unwrap() += 2 * n;
    }
    fixture.reopen().await;
    assert_eq!(fixture.store().not_stored(&site(), week).await.unwrap(), sums);
    assert_eq!(fixture.store().not_stored(&site(), monday..monday).await.unwrap(), Counts::new());
}

pub async fn counters_of_old_days_are_deleted(fixture: impl Fixture) {
    let store = fixture.store();
    let monday = day("2025-12-08");
    let one = Counts::from([(NotStored::Rejected(Code::InvalidEvent), 1)]);
    put(store, &[event("page_view", 1, at("2025-12-08T10:00:00Z"))]).await;
    for days in 0..3 {
        store.add_not_stored(&site(), monday.plus(days), &one).await.unwrap();
    }
    store.delete_not_stored(monday.plus(2)).await.unwrap();
    store.delete_not_stored(monday.plus(2)).await.unwrap();
    assert_eq!(store.not_stored(&site(), monday..monday.plus(9)).await.unwrap(), one);
    assert_eq!(store.not_stored(&site(), monday..monday.plus(2)).await.unwrap(), Counts::new());
}
