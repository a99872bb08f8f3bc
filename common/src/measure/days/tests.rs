//! The memory of days is bounded.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::open_days;
use crate::config::Config;
use crate::event::Event;
use crate::measure::columns::MOST_VALUES;
use crate::measure::query::Query;
use crate::measure::samples::{day, event};
use crate::measure::scan::ScanError;
use crate::measure::service::{DEADLINE, QueryError, Service};
use crate::metrics::Metrics;
use crate::site::Site;
use crate::store::sqlite::Sqlite;
use crate::store::{Append, BlockKind, Blocks};
use crate::time::{Day, Timestamp};
use crate::visitor_data::Erased;

/// A store, and a service with the least memory that can be configured: 1 MiB.
struct Asked {
    store: Sqlite,
    service: Service,
    now: Timestamp,
    metrics: Arc<Metrics>,
    _folder: TempDir,
}

impl Asked {
    /// Now is noon of the last of the days of samples.
    async fn new() -> Self {
        Self::with_memory("1").await
    }

    /// With so many MiB.
    async fn with_memory(memory: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let config = Config::from_vars([("ANALYTICS_QUERY_MEMORY".to_owned(), memory.to_owned())]).unwrap();
        Self {
            store: Sqlite::open(&folder.path().join("analytics.db"), Arc::clone(&metrics)).await.unwrap(),
            service: Service::new(&config),
            now: day(9).start().plus(12 * 3_600_000),
            metrics,
            _folder: folder,
        }
    }

    /// Stores page views of different visitors.
    async fn store(&self, site: &Site, of: Day, count: u64) {
        let first = of.start().millis() - day(0).start().millis();
        let view = |number: u64| Event {
            site: site.clone(),
            ..event(of.number() as u64 * 1_000_000 + number, number, first + number as i64, "page_view", "/")
        };
        self.store.append((0..count).map(view).collect(), self.now).await.unwrap();
    }

    async fn views(&self, site: &Site, of: Day) -> Result<u64, QueryError> {
        let counts = self.service.counts(&self.store, site, self.now).await?;
        let range = [of.to_string(), of.to_string()];
        let query = json!({"site": site.as_str(), "metrics": ["pageviews"], "date_range": range});
        let context = self.service.context(&self.store, site, &counts, false, self.now).await?;
        let query = Query::parse(&query, &context).unwrap();
        let (results, _) = self.service.query(&self.store, &query, &counts, self.now).await?;
        Ok(json!(results)["results"][0]["metrics"][0].as_u64().unwrap())
    }
}

#[tokio::test]
async fn days_that_need_too_much_memory_are_refused_and_others_are_answered() {
    let (asked, site) = (Asked::new().await, Site::default());
    let (closed, yesterday, today) = (day(5), day(8), day(9));
    asked.store(&site, closed, 40_000).await;
    asked.store(&site, closed.plus(1), 5).await;
    asked.store(&site, yesterday, 1_000).await;
    asked.store(&site, today, 40_000).await;
    for _ in 0..2 {
        for (of, count) in [(closed, None), (closed.plus(1), Some(5)), (yesterday, Some(1_000)), (today, None)] {
            match (asked.views(&site, of).await, count) {
                (Ok(views), Some(count)) => assert_eq!(views, count, "{of}"),
                (Err(error @ QueryError::TooLarge(1_048_576)), None) => {
                    assert!(error.to_string().contains("ANALYTICS_QUERY_MEMORY"));
                }
                (answer, _) => panic!("{of}: {answer:?}"),
            }
        }
    }
}

/// Of three rounds of events, the second has visitors of the first, and the third is late: its events are at
/// the instants of others of the same visitors.
#[tokio::test]
async fn a_day_that_needs_many_pieces_has_the_answers_of_one_in_a_head() {
    let (asked, site) = (Asked::new().await, Site::default());
    let large = Service::new(&Config::from_vars([]).unwrap());
    let midnight = day(9).start().millis() - day(0).start().millis();
    let view = |number: u64, visitor: u64, time: i64| {
        let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        event(
            id,
            visitor,
            midnight + time,
            if number.is_multiple_of(3) { "click" } else { "page_view" },
            &format!("/{}", id % 40),
        )
    };
    let rounds: [Vec<Event>; 3] = [
        (0..6_000).map(|number| view(number, number / 3, number as i64 * 1_000)).collect(),
        (6_000..8_000).map(|number| view(number, number % 500 * 4, number as i64 * 1_000)).collect(),
        (8_000..9_000)
            .map(|number| view(number, (number - 8_000) / 3 * 2, (number - 8_000) as i64 / 3 * 6_000))
            .collect(),
    ];
    let range = [day(9).to_string(), day(9).to_string()];
    for events in rounds {
        asked.store.append(events, asked.now).await.unwrap();
        let counts = asked.service.counts(&asked.store, &site, asked.now).await.unwrap();
        for dimensions in [json!([]), json!(["event:page"]), json!(["visit:entry_page", "event:name"])] {
            let metrics = ["visitors", "visits", "pageviews", "events", "visit_duration", "bounce_rate"];
            let metrics =
                if dimensions == json!(["visit:entry_page", "event:name"]) { &metrics[..4] } else { &metrics };
            let query = json!({"metrics": metrics, "dimensions": dimensions, "date_range": range, "limit": 10_000});
            let context = large.context(&asked.store, &site, &counts, false, asked.now).await.unwrap();
            let query = Query::parse(&query, &context).unwrap();
            let answer =
                async |service: &Service| service.query(&asked.store, &query, &counts, asked.now).await.unwrap().0;
            assert_eq!(json!(answer(&asked.service).await), json!(answer(&large).await));
        }
    }
    let counts = asked.service.counts(&asked.store, &site, asked.now).await.unwrap();
    let open = asked.service.days.open(&asked.store, &site, &counts, asked.now).await.unwrap();
    assert!(open.head(day(9)).count_parts() > 3, "there are {} parts", open.head(day(9)).count_parts());
}

/// The clock of the first sender is fast: its event is the newest, though all others were committed after it.
#[tokio::test]
async fn events_are_read_once_whatever_the_order_of_their_times() {
    let (asked, site) = (Asked::new().await, Site::default());
    let midnight = day(9).start().millis() - day(0).start().millis();
    let view = |number: u64, time: i64| event(number, number / 3, midnight + time, "page_view", "/");
    asked.store.append(vec![view(9_000, 9_000_000)], asked.now).await.unwrap();
    for round in 0..3 {
        let views = (0..1_500).map(|number| view(1_500 * round + number, number as i64 * 1_000)).collect();
        asked.store.append(views, asked.now).await.unwrap();
        assert_eq!(asked.views(&site, day(9)).await.unwrap(), 1_501 + 1_500 * round);
        let read = asked.metrics.database_query_duration_seconds.with_label_values(&["timeline"]).get_sample_count();
        assert!(read < 5, "the timeline was read {read} times");
    }
}

#[tokio::test]
async fn days_with_too_many_values_are_counted_once() {
    let (asked, site) = (Asked::with_memory("64").await, Site::default());
    let (closed, today) = (day(5), day(9));
    asked.store(&site, day(8), 10).await;
    for of in [closed, today] {
        let first = of.start().millis() - day(0).start().millis();
        let view =
            |number: u64| event(of.number() as u64 * 1_000_000 + number, 1, first, "page_view", &format!("/{number}"));
        let views: Vec<Event> = (0..=MOST_VALUES as u64).map(view).collect();
        asked.store.append(views, asked.now).await.unwrap();
    }
    for _ in 0..2 {
        for (of, counted) in [(day(8), 0), (closed, 1), (today, 2), (closed, 2)] {
            asked.views(&site, of).await.unwrap();
            assert!(asked.service.capped_days().get() >= counted, "{of}");
        }
    }
    assert_eq!(asked.service.capped_days().get(), 2);
}

#[tokio::test]
async fn days_that_were_refused_are_not_read_again() {
    let (asked, site) = (Asked::new().await, Site::default());
    let read = async |store: &Sqlite, of: Day, events: u64| {
        let (sender, _receiver) = tokio::sync::mpsc::channel(9);
        let counts = [(of, events)].into();
        asked.service.days.send(store, &site, &counts, of..of.plus(1), asked.now, sender).await
    };
    let other = Asked::new().await;
    let empty = &other.store;
    for (of, events) in [(day(5), 40_000), (day(9), 40_000)] {
        asked.store(&site, of, events).await;
        assert!(read(empty, of, events).await.is_ok(), "the empty store has nothing that is too large");
        asked.service.days.closed.invalidate_all();
        assert!(matches!(read(&asked.store, of, events).await, Err(QueryError::TooLarge(_))));
        assert!(matches!(read(empty, of, events + 1).await, Err(QueryError::TooLarge(_))), "it was read again");
        assert!(read(empty, of, events - 1).await.is_ok(), "events were deleted");
    }
}

#[tokio::test]
async fn open_days_are_evicted_when_they_take_too_much_together() {
    let asked = Asked::new().await;
    let sites: Vec<Site> = (0..6).map(|number| Site::parse(&format!("site{number}.example")).unwrap()).collect();
    for site in &sites {
        asked.store(site, day(9), 3_000).await;
    }
    for round in 0..2 {
        for site in &sites {
            assert_eq!(asked.views(site, day(9)).await.unwrap(), 3_000 + round, "of {site}");
            asked.store(site, day(9), 3_001 + round).await;
            let open = &asked.service.days.open;
            open.run_pending_tasks().await;
            assert!(open.weighted_size() <= 512 * 1_024 && open.entry_count() > 0);
        }
    }
    assert!(asked.service.days.open.entry_count() < 6, "not all of them fit");
}

/// The second query reads the log of both days again, because its day is not in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_of_different_open_days_are_answered_at_once() {
    let (asked, site) = (Asked::with_memory("64").await, Site::default());
    for of in [day(8), day(9)] {
        asked.store(&site, of, 6_000).await;
    }
    let counts = asked.service.counts(&asked.store, &site, asked.now).await.unwrap();
    for pause in 0..40 {
        let service = Service::new(&Config::from_vars([]).unwrap());
        let events = async |of: Day, pause: u64| {
            // The second one begins at a different moment of the first each time.
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
            let sent = service.days.send(&asked.store, &site, &counts, of..of.plus(1), asked.now, sender);
            let taken = async {
                let mut events = 0;
                while let Some(part) = receiver.recv().await {
                    events += part.as_ref().visits().unwrap().all.iter().map(|visit| visit.events).sum::<u32>();
                }
                events
            };
            let (sent, events) = tokio::join!(sent, taken);
            sent.unwrap();
            events
        };
        assert_eq!(tokio::join!(events(day(9), 0), events(day(8), 2 * pause)), (6_000, 6_000), "{pause}");
    }
}

#[tokio::test]
async fn days_are_read_one_after_another() {
    let (asked, site) = (Asked::new().await, Site::default());
    let days: Vec<Day> = (0..8).map(day).collect();
    for of in &days {
        asked.store(&site, *of, 100).await;
    }
    let counts = asked.service.counts(&asked.store, &site, asked.now).await.unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let range = days[0]..open_days(asked.now).start;
    let sent = asked.service.days.send(&asked.store, &site, &counts, range, asked.now, sender);
    let taken = async {
        // When the receiver goes, no more days are read.
        let first = receiver.recv().await.unwrap();
        assert_eq!(first.as_ref().day(), days[0]);
        drop(receiver);
    };
    let (sent, ()) = tokio::join!(sent, taken);
    sent.unwrap();
    let built = asked.store.blocks(&site, BlockKind::Segment, days[0]..days[7].plus(1)).await.unwrap();
    assert!((1..=3).contains(&built.len()), "{} were built", built.len());
}

#[tokio::test]
async fn a_query_that_is_not_wanted_any_more_makes_room_for_the_next() {
    let (asked, site) = (Asked::new().await, Site::default());
    asked.store(&site, day(9), 100).await;
    let ((begin, begun), (end, ended)) = (oneshot::channel(), oneshot::channel());
    let endless = asked.service.work(&asked.store, &site, asked.now, |work| {
        let started = Instant::now();
        let _ = begin.send(());
        while work.check().is_ok() {
            std::thread::yield_now();
        }
        let _ = end.send(started.elapsed());
        Ok(())
    });
    tokio::select! {
        _ = endless => panic!("it has no end"),
        begun = begun => begun.unwrap(),
    }
    // There is room for one query only.
    assert_eq!(asked.views(&site, day(9)).await.unwrap(), 100);
    assert!(ended.await.unwrap() < DEADLINE, "it went on until its deadline");
}

/// Another process may have read the events before, and store what it made of them afterwards.
#[tokio::test]
async fn a_block_of_before_an_erasure_does_not_stay() {
    let asked = Asked::with_memory("16").await;
    let (site, days) = (Site::default(), &asked.service.days);
    asked.store(&site, day(5), 10).await;
    let before = days.mark(&asked.store, &site).await.unwrap();
    let block = days.build(&asked.store, &site, day(5)).await.unwrap().block().to_vec();

    let visitor = event(0, 3, 0, "page_view", "/").visitor;
    let other = Service::new(&Config::from_vars([]).unwrap());
    let mut erased = Erased::default();
    other.erase(&asked.store, &site, visitor, asked.now, &mut erased).await.unwrap();
    assert_eq!(erased.events, 1);

    let blocks = async || {
        asked.store.put_block(&site, BlockKind::Segment, day(5), block.clone()).await.unwrap();
        days.delete_if_erased(&asked.store, &site, day(5), before).await.unwrap();
        asked.store.blocks(&site, BlockKind::Segment, day(5)..day(6)).await.unwrap()
    };
    assert_eq!(blocks().await, []);
    assert_eq!(asked.views(&site, day(5)).await.unwrap(), 9);
    let after = days.mark(&asked.store, &site).await.unwrap();
    days.delete_if_erased(&asked.store, &site, day(5), after).await.unwrap();
    assert_eq!(asked.store.blocks(&site, BlockKind::Segment, day(5)..day(6)).await.unwrap().len(), 1, "a new one does");
}

/// The answer is not wanted any more once its client is gone: the scan ends long before its deadline.
#[tokio::test]
async fn a_scan_stops_when_its_client_is_gone() {
    let (asked, site) = (Asked::new().await, Site::default());
    let (begun, begins) = oneshot::channel();
    let (ended, ends) = oneshot::channel();
    let scan = asked.service.work(&asked.store, &site, asked.now, move |bounds| {
        let started = Instant::now();
        begun.send(()).unwrap();
        while !(bounds.stopped)() {
            std::thread::yield_now();
        }
        ended.send(started.elapsed()).unwrap();
        Err::<(), _>(ScanError::Stopped)
    });
    tokio::select! {
        answer = scan => panic!("{answer:?}"),
        begun = begins => begun.unwrap(),
    }
    let took = ends.await.unwrap();
    assert!(took < DEADLINE, "it went on until its deadline");
}
