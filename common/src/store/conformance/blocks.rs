//! Bytes of the core, beside the events.

use super::Fixture;
use super::samples::{at, day, event, put, site};
use crate::event::Event;
use crate::site::Site;
use crate::store::BlockKind::{Segment, Summary};
use crate::store::{BlockKind, Store};
use crate::time::Day;

/// Bytes that do not compress and differ from place to place, as blocks do.
fn block(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(step).collect()
}

fn named(name: &str) -> Site {
    Site::parse(name).unwrap()
}

async fn read(store: &dyn Store, kind: BlockKind, first: Day, end: Day) -> Vec<(Day, Vec<u8>)> {
    store.blocks(&site(), kind, first..end).await.unwrap()
}

pub async fn blocks_come_back_by_day(mut fixture: impl Fixture) {
    let store = fixture.store();
    let (monday, sunday) = (day("2025-12-08"), day("2025-12-14"));
    assert_eq!(read(store, Segment, monday, sunday).await, []);
    // Larger than any item or row of the engines, and empty.
    let blocks = [(monday.plus(2), block(1_200_000, 1)), (monday, block(3, 2)), (monday.plus(1), Vec::new())];
    for (day, bytes) in &blocks {
        store.put_block(&site(), Segment, *day, bytes.clone()).await.unwrap();
    }
    store.put_block(&site(), Summary, monday, block(4, 3)).await.unwrap();
    store.put_block(&named("other"), Segment, monday, block(5, 4)).await.unwrap();
    store.put_block(&site(), Segment, sunday, block(6, 5)).await.unwrap();
    let [large, small, empty] = blocks;
    assert_eq!(read(store, Segment, monday, sunday).await, [small, empty, large.clone()]);
    assert_eq!(read(store, Summary, monday, sunday.plus(1)).await, [(monday, block(4, 3))]);
    assert_eq!(read(store, Segment, monday.plus(2), monday.plus(2)).await, []);
    fixture.reopen().await;
    assert_eq!(read(fixture.store(), Segment, monday.plus(2), monday.plus(3)).await, [large]);
}

pub async fn a_block_is_replaced_whole(fixture: impl Fixture) {
    let store = fixture.store();
    let monday = day("2025-12-08");
    for bytes in [block(1_200_000, 1), block(800_000, 2), block(10, 3), block(900_000, 4)] {
        store.put_block(&site(), Segment, monday, bytes.clone()).await.unwrap();
        assert_eq!(read(store, Segment, monday, monday.plus(1)).await, [(monday, bytes)]);
    }
}

pub async fn blocks_of_old_days_are_deleted(fixture: impl Fixture) {
    let store = fixture.store();
    let monday = day("2025-12-08");
    for name in ["default", "other"] {
        put(store, &[Event { site: named(name), ..event("page_view", 1, at("2025-12-08T10:00:00Z")) }]).await;
        for days in 0..3 {
            store.put_block(&named(name), Segment, monday.plus(days), block(400_000, 1)).await.unwrap();
        }
        store.put_block(&named(name), Summary, monday, block(9, 1)).await.unwrap();
    }
    assert!(store.delete_blocks(Segment, monday.plus(2)).await.unwrap() > 0);
    assert_eq!(store.delete_blocks(Segment, monday.plus(2)).await.unwrap(), 0);
    for name in ["default", "other"] {
        let left = store.blocks(&named(name), Segment, monday..monday.plus(9)).await.unwrap();
        assert_eq!(left.iter().map(|(day, _)| *day).collect::<Vec<_>>(), [monday.plus(2)]);
    }
    assert_eq!(read(store, Summary, monday, monday.plus(1)).await, [(monday, block(9, 1))]);
}
