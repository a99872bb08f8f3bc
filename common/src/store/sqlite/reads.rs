//! Questions: each on a connection of its own, off the async threads, on one snapshot.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::connection::{closed, open_reader};
use super::rows::{COLUMNS, EVENTS, committed};
use crate::event::{Event, MAX_CLOCK_SKEW};
use crate::metrics::Metrics;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Committed, Position, Realtime, Result, TimelineFrom, Totals};
use crate::tally::Dimension;
use crate::time::{Day, Timestamp};

/// How many questions are answered at the same time; others wait.
const READERS: usize = 4;
/// Events of all sites together, the latest, after which the feed can be resumed: the bound of a
/// search for a quiet site's events among those of busy ones.
const RESUMABLE: i64 = 100_000;

/// A few connections that only read.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, metrics: Arc<Metrics>) -> Self {
        Self { path: Arc::new(path), idle: Arc::default(), permits: Arc::new(Semaphore::new(READERS)), metrics }
    }

    /// No question is answered from now on; those under way are.
    pub(super) async fn close(&self) {
        let _all = self.permits.acquire_many(READERS as u32).await;
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Asks on one snapshot of the database.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        query_type: &'static str,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let started = Instant::now();
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())?;
        let this = self.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let idle = this.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_reader(&this.path)?,
            };
            let snapshot = connection.unchecked_transaction()?;
            let answer = question(&snapshot)?;
            snapshot.finish()?;
            this.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            this.metrics.queried(query_type, started.elapsed());
            Ok(answer)
        });
        asked.await.map_err(|error| crate::store::StoreError::Other {
            engine: super::connection::ENGINE,
            source: error.into(),
        })?
    }
}

/// A site's number; `None` when it was never seen.
fn site_id(connection: &Connection, site: &Site) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("select id from sites where name = ?1")?
        .query_row([site.as_str()], |row| row.get(0))
        .optional()
}

fn count(value: i64) -> u64 {
    value.unsigned_abs()
}

/// The days of the oldest and of the newest event until an instant.
pub(super) fn event_days(connection: &Connection, until: Timestamp) -> rusqlite::Result<Option<RangeInclusive<Day>>> {
    // One step into the index of each site, and end.
    let mut find = connection.prepare_cached(
        "select min((select min(created_at) from events where site = sites.id and created_at <= ?1)),
                max((select max(created_at) from events where site = sites.id and created_at <= ?1)) from sites",
    )?;
    let (oldest, newest): (Option<i64>, Option<i64>) =
        find.query_row([until.millis()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let day = |millis| Timestamp::from_millis(millis).day();
    Ok(oldest.zip(newest).map(|(oldest, newest)| day(oldest)..=day(newest)))
}

pub(super) fn realtime(
    connection: &Connection,
    site: &Site,
    now: Timestamp,
    window: i64,
) -> rusqlite::Result<Realtime> {
    let Some(id) = site_id(connection, site)? else { return Ok(Realtime::default()) };
    let current: i64 = connection
        .prepare_cached("select count(*) from presence where site = ?1 and last_seen > ?2 and last_seen <= ?3")?
        .query_row(params![id, now.plus(-window).millis(), now.plus(MAX_CLOCK_SKEW).millis()], |row| row.get(0))?;
    let today = totals(connection, site, PeriodKey::of(Period::Day, now.day()))?;
    Ok(Realtime {
        current_visitors: count(current),
        unique_today: today.visitors,
        total_events: today.events,
        letters_today: today.letters,
    })
}

pub(super) fn totals(connection: &Connection, site: &Site, period: PeriodKey) -> rusqlite::Result<Totals> {
    let Some(id) = site_id(connection, site)? else { return Ok(Totals::default()) };
    let mut find = connection.prepare_cached(
        "select coalesce((select n from counters where site = ?1 and bucket = ?2 and dimension = ?3 and value = ?4), 0)",
    )?;
    let mut find = |dimension: Dimension, value: &str| -> rusqlite::Result<u64> {
        find.query_row(params![id, period.bucket(), dimension as i64, value], |row| row.get(0)).map(count)
    };
    Ok(Totals {
        events: find(Dimension::All, "")?,
        page_views: find(Dimension::EventType, "page_view")?,
        letters: find(Dimension::EventType, "letter_generate")?,
        motivation: find(Dimension::LetterType, "motivation")?,
        anti_motivation: find(Dimension::LetterType, "anti_motivation")?,
        visitors: find(Dimension::Visitors, "")?,
    })
}

pub(super) fn timeline(
    connection: &Connection,
    site: &Site,
    from: TimelineFrom,
    limit: usize,
) -> rusqlite::Result<Vec<Event>> {
    let Some(id) = site_id(connection, site)? else { return Ok(Vec::new()) };
    // The page is cut before addresses are joined, so that an offset skips index entries only.
    let page = |condition: &str, rest: &str| {
        format!(
            "with page as materialized (
                 select position, id as event_id, created_at as at from events
                 where site = ?1 {condition} order by created_at desc, id desc {rest}
             )
             select {COLUMNS} from page cross join {EVENTS} where e.position = page.position
             order by page.at desc, page.event_id desc"
        )
    };
    let (sql, values): (String, Vec<Box<dyn ToSql>>) = match from {
        TimelineFrom::Newest { until, offset } => (
            page("and created_at <= ?3", "limit ?2 offset ?4"),
            vec![Box::new(id), Box::new(limit as i64), Box::new(until.millis()), Box::new(offset)],
        ),
        TimelineFrom::Below(at, event) => (
            page("and created_at <= ?3 and (created_at, id) < (?3, ?4)", "limit ?2"),
            vec![Box::new(id), Box::new(limit as i64), Box::new(at.millis()), Box::new(*event.as_bytes())],
        ),
    };
    let mut find = connection.prepare_cached(&sql)?;
    let rows = find.query_map(params_from_iter(values), |row| Ok(committed(site, row)?.event))?;
    rows.collect()
}

pub(super) fn sites(connection: &Connection) -> rusqlite::Result<Vec<Site>> {
    let mut find = connection.prepare_cached("select name from sites order by name")?;
    let names = find.query_map([], |row| row.get::<_, String>(0))?;
    Ok(names.collect::<rusqlite::Result<Vec<_>>>()?.iter().filter_map(|name| Site::parse(name)).collect())
}

/// `None` also for an event that is not among the latest [`RESUMABLE`].
pub(super) fn position(connection: &Connection, site: &Site, id: Uuid) -> rusqlite::Result<Option<Position>> {
    connection
        .prepare_cached(
            "select e.position from events e join sites s on s.id = e.site
             where s.name = ?1 and e.id = ?2 and e.position > (select max(position) from events) - ?3",
        )?
        .query_row(params![site.as_str(), id.as_bytes(), RESUMABLE], |row| row.get::<_, i64>(0))
        .optional()
        .map(|position| position.map(|position| Position(count(position))))
}

pub(super) fn committed_after(
    connection: &Connection,
    site: &Site,
    after: Position,
    limit: usize,
) -> rusqlite::Result<Vec<Committed>> {
    let Some(id) = site_id(connection, site)? else { return Ok(Vec::new()) };
    // `+` keeps the planner from the index by site and time, which would sort all events of the site.
    let sql =
        format!("select {COLUMNS} from {EVENTS} where e.position > ?1 and +e.site = ?2 order by e.position limit ?3");
    let mut find = connection.prepare_cached(&sql)?;
    find.query_map(params![after.0 as i64, id, limit as i64], |row| committed(site, row))?.collect()
}

pub(super) fn fact(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached("select value from meta where name = ?1")?.query_row([name], |row| row.get(0)).optional()
}
