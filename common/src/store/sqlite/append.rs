//! Inserting events, and what is known of sites and texts while doing it.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashlink::LruCache;
use rusqlite::{Connection, OptionalExtension, Statement, params};
use sha2::{Digest, Sha256};

use super::presence::Presence;
use super::rows::StoredVisitor;
use super::totals::Counter;
use super::{keep, sites};
use crate::event::Event;
use crate::site::Site;
use crate::store::{Appended, Position};
use crate::time::{Day, Timestamp};
use crate::url::Url;

/// How many texts are known at most.
const MOST_TEXTS: usize = 8_192;

/// What became of each request's events, and the places of those that were stored.
#[derive(Debug)]
pub(super) struct Inserted {
    pub(super) places: Vec<Vec<(Appended, Option<Position>)>>,
    /// How many visitors are new to their day.
    pub(super) new_visitors: u64,
}

/// Turns events into rows and changes of the totals.
#[derive(Debug)]
pub(super) struct Appender {
    counter: Counter,
    presence: Presence,
    sites: HashMap<Site, i64, RandomState>,
    texts: LruCache<(Day, Arc<str>), i64, RandomState>,
    /// The key of the hashes of texts, once it was read.
    text_key: Option<i64>,
}

impl Appender {
    pub(super) fn new() -> Self {
        Self {
            counter: Counter::of_schema("main"),
            presence: Presence::new(),
            sites: HashMap::default(),
            texts: LruCache::with_hasher(MOST_TEXTS, RandomState::default()),
            text_key: None,
        }
    }

    /// Forgets what is known: after a rollback, or when another process wrote.
    pub(super) fn forget(&mut self) {
        self.counter.forget();
        self.presence.forget();
        self.sites.clear();
        self.texts.clear();
    }

    /// Forgets visitors and texts of days before this one, which may be gone.
    pub(super) fn forget_before(&mut self, day: Day) {
        self.counter.forget_before(day);
        self.texts.retain(|(of, _), _| *of >= day);
    }

    /// Inserts the events of many requests after this position, within a transaction, and changes the totals.
    pub(super) fn append<'a>(
        &mut self,
        connection: &Connection,
        requests: impl Iterator<Item = &'a [Event]>,
        now: Timestamp,
        mut position: u64,
    ) -> rusqlite::Result<Inserted> {
        // Prepared once for all of them: to find it again takes as long as to insert an event.
        let mut insert = connection.prepare_cached(
            "insert into events (position, site, id, visitor, event_type, created_at, page_url, referrer, data, arrival, client)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) on conflict (site, id) do nothing",
        )?;
        let before = position;
        let places = requests.map(|events| {
            let places = events.iter().map(|event| self.insert(connection, &mut insert, event, &mut position));
            places.collect::<rusqlite::Result<_>>()
        });
        let places = places.collect::<rusqlite::Result<_>>()?;
        let new_visitors = self.counter.flush(connection)?;
        self.presence.follow(connection, (position - before) as usize, position, now)?;
        Ok(Inserted { places, new_visitors })
    }

    fn insert(
        &mut self,
        connection: &Connection,
        insert: &mut Statement<'_>,
        event: &Event,
        position: &mut u64,
    ) -> rusqlite::Result<(Appended, Option<Position>)> {
        let Some(site) = self.site(connection, &event.site)? else { return Ok((Appended::TooManySites, None)) };
        let day = event.created_at.day();
        let mut number = |text: Option<Arc<str>>| text.map(|text| self.text(connection, day, text)).transpose();
        let page_url = number(event.page_url.as_ref().map(Url::shared))?;
        let referrer = number(event.referrer.as_ref().map(Url::shared))?;
        let arrival = number(Some(event.facts.arrival.shared()).filter(|text| !text.is_empty()))?;
        let client = number(Some(event.facts.client.shared()).filter(|text| !text.is_empty()))?;
        let with_id = self.counter.with_id(site, day, event.visitor);
        let inserted = insert.execute(params![
            *position as i64 + 1,
            site,
            event.id.as_bytes(),
            with_id.map_or(StoredVisitor::Id(event.visitor), StoredVisitor::At),
            event.event_type,
            event.created_at.millis(),
            page_url,
            referrer,
            event.data.stored(),
            arrival,
            client,
        ])?;
        if inserted == 0 {
            return Ok((Appended::Duplicate, None));
        }
        *position += 1;
        self.counter.add(connection, site, event, *position)?;
        Ok((Appended::Stored, Some(Position(*position))))
    }

    /// Deletes visitors who are present no more.
    pub(super) fn prune(&mut self, connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        self.presence.prune(connection, now)
    }

    /// A site's number; `None` when it would be one too many.
    fn site(&mut self, connection: &Connection, site: &Site) -> rusqlite::Result<Option<i64>> {
        if let Some(id) = self.sites.get(site) {
            return Ok(Some(*id));
        }
        let id = sites::find_or_make(connection, site)?;
        if let Some(id) = id {
            self.sites.insert(site.clone(), id);
        }
        Ok(id)
    }

    /// A text's number on its day.
    fn text(&mut self, connection: &Connection, day: Day, text: Arc<str>) -> rusqlite::Result<i64> {
        let key = (day, text);
        if let Some(number) = self.texts.get(&key) {
            return Ok(*number);
        }
        let hash = self.hash(connection, &key.1)?;
        let values = params![day.number(), hash, key.1];
        let mut find =
            connection.prepare_cached("select number from texts where day = ?1 and hash = ?2 and value = ?3")?;
        let found = find.query_row(values, |row| row.get(0)).optional()?;
        let number = match found {
            Some(number) => number,
            None => connection
                .prepare_cached(
                    "insert into texts (day, number, hash, value)
                     select ?1, coalesce(max(number), 0) + 1, ?2, ?3 from texts where day = ?1 returning number",
                )?
                .query_row(values, |row| row.get(0))?,
        };
        self.texts.insert(key, number);
        Ok(number)
    }

    /// The hash by which a text is found. It has a key, so that no sender can choose many texts with the same one.
    fn hash(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<i32> {
        let key = match self.text_key {
            Some(key) => key,
            None => *self.text_key.insert(keep::fact(connection, "text_key")?.unwrap_or(0)),
        };
        let hash = Sha256::new().chain_update(key.to_be_bytes()).chain_update(text).finalize();
        Ok(i32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]))
    }
}
