//! One transaction a batch: which events are duplicates, what position each has, what they add.
//!
//! 1. The rows of the batch's sites are locked, in order of id; they hold how many events each site
//!    has. The lock is held until the commit, so a site's positions have no gaps and are in the
//!    order of commits, whichever instance gives them, and nothing that is read under it changes.
//! 2. In the same round trip: which of the ids are there, and on which days the visitors came.
//! 3. Events, ids, visitors, totals and positions are written, and committed, in one more round trip.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use tokio_postgres::error::{Error, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use super::totals::{Changes, KnownVisits, MonthRows};
use super::values::count;
use crate::event::Event;
use crate::site::Site;
use crate::store::{Committed, Position};
use crate::time::Day;

/// Settings of a connection that looks up keys and nothing else: statements are planned once,
/// when they are prepared, and no plan is right that reads a whole table.
const SESSION: &str = "set plan_cache_mode = force_generic_plan;
    set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off";

/// How long a full store is taken to be full: another process may remove a site.
const FULL_FOR: Duration = Duration::from_secs(5);
/// How many sites are known at most, those included that were removed.
const MOST_SITES: usize = 10 * Site::MOST;

const LOCK: &str = "select id, position, expired,
        coalesce((select value from analytics_meta where name = 'kept_since'), 0),
        coalesce((select value from analytics_meta where name = 'changes'), 0)
    from analytics_sites where id = any($1::int4[]) order by id for no key update";

// Each statement costs both sides a message and a wake-up, so few do much.
const FIND: &str = "select q.at, i.position, i.day, null::int4
    from unnest($1::int4[], $2::uuid[]) with ordinality as q (site, id, at)
    join analytics_event_ids i on i.site = q.site and i.id = q.id
    union all
    select q.at, null, null, v.days
    from unnest($3::int4[], $4::date[], $5::uuid[]) with ordinality as q (site, month, visitor, at)
    join analytics_visitors v on v.site = q.site and v.month = q.month and v.visitor = q.visitor";

// An id of a day that was dropped may still be there, and is replaced.
const WRITE: &str = "with events as (
        insert into analytics_events
            (position, created_at, site, id, visitor, event_type, page_url, referrer, data, arrival, client)
        select * from unnest($1::int8[], $2::timestamptz[], $3::int4[], $4::uuid[], $5::uuid[],
            $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
    ), ids as (
        insert into analytics_event_ids (position, site, day, id)
        select * from unnest($1::int8[], $3::int4[], $12::date[], $4::uuid[])
        on conflict (site, id, day) do update set position = excluded.position
    ), visitors as (
        insert into analytics_visitors (site, month, visitor, days)
        select * from unnest($15::int4[], $16::date[], $17::uuid[], $18::int4[])
        on conflict (site, month, visitor) do update set days = excluded.days
    ), totals as (
        insert into analytics_totals as t
            (site, bucket, events, page_views, letters, motivation, anti_motivation, visitors)
        select * from unnest($19::int4[], $20::int8[], $21::int8[], $22::int8[], $23::int8[], $24::int8[],
            $25::int8[], $26::int8[])
        on conflict (site, bucket) do update set
            events = t.events + excluded.events,
            page_views = t.page_views + excluded.page_views,
            letters = t.letters + excluded.letters,
            motivation = t.motivation + excluded.motivation,
            anti_motivation = t.anti_motivation + excluded.anti_motivation,
            visitors = t.visitors + excluded.visitors
    )
    update analytics_sites s set position = q.position
    from unnest($13::int4[], $14::int8[]) as q (id, position) where s.id = q.id";

/// Statements of the transaction, prepared on its connection.
#[derive(Debug)]
pub(super) struct Statements {
    lock: Statement,
    find: Statement,
    write: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        client.batch_execute(SESSION).await?;
        let (lock, find, write) = tokio::try_join!(client.prepare(LOCK), client.prepare(FIND), client.prepare(WRITE))?;
        Ok(Self { lock, find, write })
    }
}

/// What is known of the database, for as long as one connection lives.
#[derive(Debug, Default)]
pub(super) struct ConnectionCache {
    /// Numbers of sites. They never change; those of sites that were removed are found out by the lock.
    pub(super) sites: HashMap<Site, i32, RandomState>,
    /// Until when sites that are not known are not looked for, because the store is full of others.
    pub(super) full_until: Option<Instant>,
    /// Days whose partitions were there.
    pub(super) days: BTreeSet<Day>,
    pub(super) visits: KnownVisits,
}

impl ConnectionCache {
    /// Whether sites that are not known are to be looked for; forgets all when there are too many.
    pub(super) fn looks_for_sites(&mut self) -> bool {
        if self.sites.len() > MOST_SITES {
            (self.sites, self.full_until) = Default::default();
        }
        self.full_until.is_none_or(|until| until < Instant::now())
    }

    /// Takes numbers of sites: those of all sites if the store `is_full`.
    pub(super) fn learn_sites(&mut self, found: impl Iterator<Item = (Site, i32)>, is_full: bool) {
        if is_full {
            self.sites.clear();
        }
        self.sites.extend(found);
        self.full_until = is_full.then(|| Instant::now() + FULL_FOR);
    }
}

/// Events of one site that were committed together.
#[derive(Debug)]
pub(super) struct SiteBatch {
    /// Their site.
    pub(super) site: Site,
    /// The position before the first of them.
    pub(super) from: u64,
    /// The position of the last of them.
    pub(super) to: u64,
    /// The events after `from` up to `to`.
    pub(super) committed: Vec<Committed>,
}

/// Events on their way into the store, with the numbers of their sites.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) events: Vec<&'a Event>,
    pub(super) sites: Vec<i32>,
}

impl Batch<'_> {
    fn visits(&self) -> impl Iterator<Item = (i32, Day, Uuid)> {
        let events = self.events.iter().zip(&self.sites);
        events.map(|(event, site)| (*site, event.created_at.day(), Uuid::from_bytes(*event.visitor.as_bytes())))
    }
}

/// What becomes of one event of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planned {
    /// It gets this position on its site.
    Stored(Position),
    /// Its id is there already.
    Duplicate,
}

/// What a batch does to the store, decided under the lock.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// One for each event, in order.
    pub(super) events: Vec<Planned>,
    /// By site: the position before and after.
    pub(super) sites: HashMap<i32, (u64, u64), RandomState>,
    /// How many visitors are new to their day.
    pub(super) new_visitors: u64,
}

impl Plan {
    /// Each site's stored events, in order.
    pub(super) fn committed(&self, batch: &Batch<'_>) -> Vec<SiteBatch> {
        let mut batches: Vec<SiteBatch> = Vec::new();
        let mut index = HashMap::<i32, usize, RandomState>::default();
        for ((event, site), planned) in batch.events.iter().zip(&batch.sites).zip(&self.events) {
            let (Planned::Stored(position), Some((from, to))) = (*planned, self.sites.get(site)) else { continue };
            let at = *index.entry(*site).or_insert_with(|| {
                batches.push(SiteBatch { site: event.site.clone(), from: *from, to: *to, committed: Vec::new() });
                batches.len() - 1
            });
            batches[at].committed.push(Committed { position, event: (*event).clone() });
        }
        batches
    }

    /// The events that are stored, with their sites and positions.
    fn stored<'a>(&'a self, batch: &'a Batch<'_>) -> impl Iterator<Item = (&'a Event, i32, i64)> {
        let events = batch.events.iter().zip(&batch.sites).zip(&self.events);
        events.filter_map(|((event, site), planned)| match planned {
            Planned::Stored(position) => Some((*event, *site, position.0 as i64)),
            Planned::Duplicate => None,
        })
    }
}

/// How the first half of a transaction ended.
#[derive(Debug)]
pub(super) enum Begun {
    /// Under the lock, with all that the second half needs.
    Planned(Plan, Box<Changes>),
    /// The earlier attempt with this plan was committed.
    AlreadyCommitted,
    /// Sites are missing: they were removed, or the database was replaced by an older copy.
    SiteGone,
}

/// An id that was found: which one of the batch it is, its position and its day.
type FoundId = (usize, u64, Day);

/// Begins, locks, looks up, plans. Nothing is stored when this fails or is dropped.
pub(super) async fn begin(
    client: &Client,
    sql: &Statements,
    cache: &mut ConnectionCache,
    batch: &Batch<'_>,
    earlier: Option<&Plan>,
) -> Result<Begun, Error> {
    let ids: Vec<Uuid> = batch.events.iter().map(|event| event.id).collect();
    let locked: Vec<i32> = batch.sites.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let visits: Vec<_> = batch.visits().collect();
    let mut visitors = MonthRows::of(visits.iter().copied(), &cache.visits);
    let find = async |rows: &MonthRows| {
        client.query(&sql.find, &[&batch.sites, &ids, &rows.sites, &rows.months, &rows.visitors]).await
    };
    let (begin, sites, found) = tokio::join!(
        biased;
        client.batch_execute("begin"),
        async { client.query(&sql.lock, &[&locked]).await },
        find(&visitors),
    );
    // The first error is the one that tells; those after it say that the transaction is over.
    begin?;
    let (sites, mut found) = (sites?, found?);
    if sites.len() < locked.len() {
        return Ok(Begun::SiteGone);
    }
    let kept_since = sites.first().map_or(Ok(0), |row| row.try_get::<_, i64>(3))?;
    let kept_since = Day::from_number(i32::try_from(kept_since).unwrap_or(i32::MAX));
    let changes = sites.first().map_or(Ok(0), |row| row.try_get::<_, i64>(4))?;
    if cache.visits.as_of(kept_since, changes) {
        visitors = MonthRows::of(visits, &cache.visits);
        found = find(&visitors).await?;
    }
    let mut found_ids = Vec::new();
    for row in &found {
        let at = count(row.try_get(0)?) as usize - 1;
        match (row.try_get::<_, Option<i64>>(1)?, row.try_get(2)?, row.try_get(3)?) {
            (Some(position), Some(day), _) => found_ids.push((at, count(position), day)),
            (_, _, Some(days)) => visitors.days[at] = days,
            _ => {}
        }
    }
    // It held the lock that is held here, so it has ended, one way or the other.
    if earlier.is_some_and(|earlier| was_committed(earlier, &found_ids)) {
        return Ok(Begun::AlreadyCommitted);
    }
    let mut plan = plan(batch, &sites, kept_since, &found_ids)?;
    let changes = Changes::of(plan.stored(batch).map(|(event, site, _)| (site, event)), visitors, &cache.visits);
    plan.new_visitors = changes.new_visitors;
    Ok(Begun::Planned(plan, Box::new(changes)))
}

/// Decides which events are stored, and where.
fn plan(batch: &Batch<'_>, locked: &[Row], kept_since: Day, found: &[FoundId]) -> Result<Plan, Error> {
    let mut expired = HashMap::<i32, u64, RandomState>::default();
    let mut plan = Plan::default();
    for row in locked {
        let (site, position) = (row.try_get(0)?, count(row.try_get(1)?));
        plan.sites.insert(site, (position, position));
        expired.insert(site, count(row.try_get(2)?));
    }
    let mut there = HashSet::<(i32, Uuid), RandomState>::default();
    for (at, position, day) in found {
        let site = batch.sites[*at];
        if *day >= kept_since || expired.get(&site).is_none_or(|expired| position > expired) {
            there.insert((site, batch.events[*at].id));
        }
    }
    for (event, site) in batch.events.iter().zip(&batch.sites) {
        let planned = match plan.sites.get_mut(site) {
            Some((_, to)) if there.insert((*site, event.id)) => {
                *to += 1;
                Planned::Stored(Position(*to))
            }
            _ => Planned::Duplicate,
        };
        plan.events.push(planned);
    }
    plan.sites.retain(|_, (from, to)| from < to);
    Ok(plan)
}

/// Whether all events of a plan are there, those that it gave a position each at its own. The
/// server's number of the transaction would not tell for certain: one that crashed gives the numbers
/// of lost transactions again.
fn was_committed(plan: &Plan, found: &[FoundId]) -> bool {
    let positions: HashSet<(usize, u64), RandomState> =
        found.iter().map(|(at, position, _)| (*at, *position)).collect();
    let there: HashSet<usize, RandomState> = found.iter().map(|(at, ..)| *at).collect();
    plan.events.iter().enumerate().all(|(at, planned)| match planned {
        Planned::Stored(position) => positions.contains(&(at, position.0)),
        Planned::Duplicate => there.contains(&at),
    })
}

/// Writes what was planned, and commits it.
///
/// The commit goes out with the statement before it: if that fails, the server turns the commit
/// into a rollback, and the statement's error is the answer.
pub(super) async fn finish(
    client: &Client,
    sql: &Statements,
    batch: &Batch<'_>,
    plan: &Plan,
    changes: &Changes,
) -> Result<(), Error> {
    if plan.sites.is_empty() {
        return client.batch_execute("rollback").await;
    }
    let (written, committed) = tokio::join!(
        biased;
        write(client, &sql.write, batch, plan, changes),
        client.batch_execute("commit"),
    );
    written.and(committed)
}

async fn write(
    client: &Client,
    write: &Statement,
    batch: &Batch<'_>,
    plan: &Plan,
    changes: &Changes,
) -> Result<(), Error> {
    let stored = || plan.stored(batch);
    let positions: Vec<i64> = stored().map(|(.., position)| position).collect();
    let times: Vec<_> = stored().map(|(event, ..)| event.created_at).collect();
    let sites: Vec<i32> = stored().map(|(_, site, _)| site).collect();
    let ids: Vec<Uuid> = stored().map(|(event, ..)| event.id).collect();
    let visitors: Vec<Uuid> = stored().map(|(event, ..)| Uuid::from_bytes(*event.visitor.as_bytes())).collect();
    let event_types: Vec<&str> = stored().map(|(event, ..)| event.event_type.name()).collect();
    let pages: Vec<_> = stored().map(|(event, ..)| event.page_url.as_ref().map(|url| url.as_str())).collect();
    let referrers: Vec<_> = stored().map(|(event, ..)| event.referrer.as_ref().map(|url| url.as_str())).collect();
    let data: Vec<Option<&str>> = stored().map(|(event, ..)| event.data.stored()).collect();
    let facts = stored().map(|(event, ..)| event.facts.stored());
    let (arrivals, clients): (Vec<_>, Vec<_>) = facts.map(|[arrival, client]| (arrival, client)).unzip();
    let days: Vec<Day> = stored().map(|(event, ..)| event.created_at.day()).collect();
    let (moved, to): (Vec<i32>, Vec<i64>) = plan.sites.iter().map(|(site, (_, to))| (*site, *to as i64)).unzip();
    let rows = &changes.visitors;
    let (counted, buckets, figures) = changes.columns();
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![
        &positions,
        &times,
        &sites,
        &ids,
        &visitors,
        &event_types,
        &pages,
        &referrers,
        &data,
        &arrivals,
        &clients,
        &days,
        &moved,
        &to,
        &rows.sites,
        &rows.months,
        &rows.visitors,
        &rows.days,
        &counted,
        &buckets,
    ];
    values.extend(figures.iter().map(|figure| figure as &(dyn ToSql + Sync)));
    client.execute(write, &values).await.map(drop)
}

/// Whether an event found no partition for its day: it was dropped, or never made.
pub(super) fn lacks_partition(error: &Error) -> bool {
    error.code() == Some(&SqlState::CHECK_VIOLATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_was_committed_if_all_its_events_stand_where_it_put_them() {
        let events = vec![Planned::Stored(Position(7)), Planned::Duplicate, Planned::Stored(Position(8))];
        let plan = Plan { events, ..Plan::default() };
        let day = Day::from_number(20_000);
        let was = |found: &[(usize, u64)]| {
            let found: Vec<_> = found.iter().map(|(at, position)| (*at, *position, day)).collect();
            was_committed(&plan, &found)
        };
        assert!(was(&[(0, 7), (1, 3), (2, 8)]));
        assert!(was(&[(0, 2), (0, 7), (1, 3), (2, 8)]), "an id of a day that was dropped may be there, too");
        assert!(!was(&[]));
        assert!(!was(&[(0, 7), (1, 3)]), "one is not there");
        assert!(!was(&[(0, 7), (2, 8)]), "what was there before is not");
        assert!(!was(&[(0, 7), (1, 3), (2, 9)]), "another process has stored it");
    }
}
