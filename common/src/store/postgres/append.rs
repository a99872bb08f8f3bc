//! One transaction a batch: what is a duplicate, what position each event has, what it changes.
//!
//! 1. The sites' rows are locked, in order of id; they hold how many events each site has. The
//!    lock is kept until the commit, so a site's positions have no gaps and are in the order of
//!    commits, whichever instance gives them, and what is decided under the lock is decided once.
//! 2. In the same round trip: which of the ids are there, which names are counted already.
//! 3. Events, ids, counters, clicks and positions are written, and committed, in one more
//!    round trip.

use std::collections::{BTreeSet, HashMap, HashSet};

use foldhash::fast::RandomState;
use tokio_postgres::error::{Error, SqlState};
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::changes::{self, Changes, Full, Parameter, Rows, Tables};
use super::live::SiteBatch;
use super::values::count;
use crate::event::Event;
use crate::site::Site;
use crate::store::{Committed, Position};
use crate::tally::Tally;
use crate::time::Day;

/// Settings of a connection that looks up keys and nothing else: statements are planned once,
/// when they are prepared, and no plan is right that reads a whole table.
const SESSION: &str = "set plan_cache_mode = force_generic_plan;
    set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off";

/// Serialises those who make sites; let go with the transaction.
pub(super) const LOCK_SITES: &str = "select pg_advisory_xact_lock(hashtextextended('maicivy-analytics/sites', 0))";

/// Statements of the transaction, prepared on its connection.
#[derive(Debug)]
pub(super) struct Statements {
    lock_sites: Statement,
    find: Statement,
    write: Statement,
    tables: Tables,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        client.batch_execute(SESSION).await?;
        // Each statement costs both sides a message and a wake-up, so few do much.
        let find = format!(
            "select q.at, i.position, i.day
             from unnest($1::int4[], $2::uuid[]) with ordinality as q (site, id, at)
             join analytics_event_ids i on i.site = q.site and i.id = q.id
             union all select at, null, null from ({}) as named",
            changes::find_values("analytics", 3)
        );
        // An id of a day that was dropped may still be there, and stands for nothing.
        let write = format!(
            "with events as (
                 insert into analytics_events
                     (position, created_at, site, id, visitor, event_type, page_url, referrer, data, arrival, client)
                 select * from unnest($1::int8[], $2::timestamptz[], $3::int4[], $4::uuid[], $5::uuid[],
                     $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
             ), ids as (
                 insert into analytics_event_ids (position, site, day, id)
                 select * from unnest($1::int8[], $3::int4[], $12::date[], $4::uuid[])
                 on conflict (site, id, day) do update set position = excluded.position
             ), counters as (
                 {}
             )
             update analytics_sites s set position = q.position
             from unnest($13::int4[], $14::int8[]) as q (id, position) where s.id = q.id",
            changes::add_counters("analytics", 15)
        );
        let (lock_sites, find, write, tables) = tokio::try_join!(
            client.prepare(
                "select id, position, expired,
                     coalesce((select value from analytics_meta where name = 'kept_since'), 0)
                 from analytics_sites where id = any($1::int4[]) order by id for no key update"
            ),
            client.prepare(&find),
            client.prepare(&write),
            Tables::prepare(client, "analytics"),
        )?;
        Ok(Self { lock_sites, find, write, tables })
    }
}

/// What is known of the database, as long as one connection lives.
#[derive(Debug, Default)]
pub(super) struct Lore {
    /// Numbers of sites; they never change, and sites never go.
    pub(super) sites: HashMap<Site, i32, RandomState>,
    /// Whether all sites there can be are known.
    pub(super) sites_full: bool,
    /// Days whose partitions were there.
    pub(super) days: BTreeSet<Day>,
    full: Full,
}

/// Events on their way into the store, with the numbers of their sites.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) events: Vec<&'a Event>,
    pub(super) sites: Vec<i32>,
}

/// What became of one event of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It has this position on its site.
    Stored(Position),
    /// Its id is there already.
    Duplicate,
}

/// What a batch did to the store, planned under the lock.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// One for each event, in order.
    pub(super) places: Vec<Place>,
    /// By site: the position before and after.
    pub(super) sites: HashMap<i32, (u64, u64), RandomState>,
}

impl Plan {
    /// The batch as Redis's side hears of it: each site's stored events in order; and for each
    /// stored event of the batch its place among those of all sites, one after the other.
    pub(super) fn committed(&self, batch: &Batch<'_>) -> (Vec<SiteBatch>, Vec<usize>) {
        let mut batches: Vec<SiteBatch> = Vec::new();
        let mut index = HashMap::<i32, usize, RandomState>::default();
        let mut found = Vec::new();
        for ((event, site), place) in batch.events.iter().zip(&batch.sites).zip(&self.places) {
            let (Place::Stored(position), Some((from, to))) = (*place, self.sites.get(site)) else { continue };
            let at = *index.entry(*site).or_insert_with(|| {
                batches.push(SiteBatch { site: event.site.clone(), from: *from, to: *to, committed: Vec::new() });
                batches.len() - 1
            });
            found.push((at, batches[at].committed.len()));
            batches[at].committed.push(Committed { position, event: (*event).clone() });
        }
        let mut starts = Vec::with_capacity(batches.len());
        batches.iter().fold(0, |start, batch| {
            starts.push(start);
            start + batch.committed.len()
        });
        (batches, found.into_iter().map(|(at, within)| starts[at] + within).collect())
    }
}

/// How the first half of a transaction ended.
#[derive(Debug)]
pub(super) enum Begun {
    /// Under the lock, with all that the second half needs.
    Planned(Plan, Box<Rows>),
    /// The earlier attempt with this plan had committed after all.
    Before,
    /// The sites are not what they were: this is another database than it was.
    Unknown,
}

/// Begins, locks, looks, plans. Nothing is stored when this fails or is dropped.
pub(super) async fn begin(
    client: &Client,
    sql: &Statements,
    lore: &mut Lore,
    batch: &Batch<'_>,
    earlier: Option<&Plan>,
) -> Result<Begun, Error> {
    let ids: Vec<Uuid> = batch.events.iter().map(|event| event.id).collect();
    let locked: Vec<i32> = batch.sites.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let tallies: Vec<Tally> = batch.events.iter().map(|event| Tally::of(event)).collect();
    let all = changes(batch, &tallies, |_| true);
    let names = all.names();
    let sought = async {
        let [sites, days, dimensions, values] = names.parameters();
        client.query(&sql.find, &[&batch.sites, &ids, sites, days, dimensions, values]).await
    };
    let (begin, rows, found, known) = tokio::join!(
        biased;
        client.batch_execute("begin"),
        async { client.query(&sql.lock_sites, &[&locked]).await },
        sought,
        sql.tables.look_for_targets(client, &all),
    );
    // The first error is the one that tells; those after it say that the transaction is over.
    begin?;
    let (rows, found, mut known) = (rows?, found?, known?);
    // Of ids their position is answered, of names nothing.
    let (found, named): (Vec<_>, Vec<_>) = found
        .into_iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get::<_, Option<i64>>(1)?, row.try_get::<_, Option<Day>>(2)?)))
        .collect::<Result<Vec<(i64, _, _)>, Error>>()?
        .into_iter()
        .partition(|(_, position, _)| position.is_some());
    known.learn(&all, named.into_iter().map(|(at, ..)| Ok::<_, Error>(at)))?;
    if rows.len() < locked.len() {
        return Ok(Begun::Unknown);
    }
    // It held the lock that is held here, so it has ended, one way or the other.
    if earlier.is_some_and(|earlier| was_committed(earlier, &found)) {
        return Ok(Begun::Before);
    }

    let mut kept_since = Day::from_number(0);
    let mut sites = HashMap::<i32, (u64, u64, u64), RandomState>::default();
    let mut plan = Plan::default();
    for row in &rows {
        let position = count(row.try_get(1)?);
        sites.insert(row.try_get(0)?, (position, position, count(row.try_get(2)?)));
        kept_since = Day::from_number(i32::try_from(row.try_get::<_, i64>(3)?).unwrap_or(i32::MAX));
    }
    let mut there = HashSet::<(i32, Uuid), RandomState>::default();
    for (at, position, day) in found {
        let at = count(at) as usize - 1;
        let (Some(position), Some(day)) = (position.map(count), day) else { continue };
        let (site, id) = (batch.sites[at], ids[at]);
        let expired = sites.get(&site).map_or(0, |(.., expired)| *expired);
        if day >= kept_since || position > expired {
            there.insert((site, id));
        }
    }

    for (site, id) in batch.sites.iter().zip(&ids) {
        let place = match sites.get_mut(site) {
            Some((_, to, _)) if there.insert((*site, *id)) => {
                *to += 1;
                Place::Stored(Position(*to))
            }
            _ => Place::Duplicate,
        };
        plan.places.push(place);
    }
    plan.sites =
        sites.into_iter().map(|(site, (from, to, _))| (site, (from, to))).filter(|(_, (from, to))| from < to).collect();

    let all_new = plan.places.iter().all(|place| *place != Place::Duplicate);
    let changes = if all_new { all } else { changes(batch, &tallies, |at| plan.places[at] != Place::Duplicate) };
    sql.tables.measure(client, &changes, &mut known, &lore.full).await?;
    let rows = Rows::of(changes, known, &mut lore.full);
    Ok(Begun::Planned(plan, Box::new(rows)))
}

/// Whether all events of a plan are there, those that it gave a position each at its own. The
/// server's number of the transaction would not tell for certain: one that crashed gives the numbers
/// of lost transactions again.
fn was_committed(plan: &Plan, found: &[(i64, Option<i64>, Option<Day>)]) -> bool {
    let found: HashSet<(usize, u64), RandomState> =
        found.iter().filter_map(|(at, position, _)| Some((count(*at) as usize - 1, count((*position)?)))).collect();
    let there: HashSet<usize, RandomState> = found.iter().map(|(at, _)| *at).collect();
    plan.places.iter().enumerate().all(|(at, place)| match place {
        Place::Stored(position) => found.contains(&(at, position.0)),
        Place::Duplicate => there.contains(&at),
    })
}

fn changes(batch: &Batch<'_>, tallies: &[Tally], counts: impl Fn(usize) -> bool) -> Changes {
    let mut changes = Changes::default();
    for (at, (event, tally)) in batch.events.iter().zip(tallies).enumerate().filter(|(at, _)| counts(*at)) {
        changes.add(batch.sites[at], event.created_at.day(), event.created_at.hour(), tally);
    }
    changes
}

/// Writes what was planned, and commits it.
///
/// The commit goes out with the statements before it: if one of them fails, the server turns
/// it into a rollback, and the statement's error is the answer.
pub(super) async fn finish(
    client: &Client,
    sql: &Statements,
    batch: &Batch<'_>,
    plan: &Plan,
    rows: &Rows,
) -> Result<(), Error> {
    let stored = || {
        let places = batch.events.iter().zip(&batch.sites).zip(&plan.places);
        places.filter_map(|((event, site), place)| match place {
            Place::Stored(position) => Some((*event, *site, position.0 as i64)),
            Place::Duplicate => None,
        })
    };
    let positions: Vec<i64> = stored().map(|(.., position)| position).collect();
    if positions.is_empty() {
        return client.batch_execute("rollback").await;
    }
    let sites: Vec<i32> = stored().map(|(_, site, _)| site).collect();
    let ids: Vec<Uuid> = stored().map(|(event, ..)| event.id).collect();
    let days: Vec<Day> = stored().map(|(event, ..)| event.created_at.day()).collect();
    let (moved, to): (Vec<i32>, Vec<i64>) = plan.sites.iter().map(|(site, (_, to))| (*site, *to as i64)).unzip();
    let sums = rows.sums();
    let write = async {
        let times: Vec<_> = stored().map(|(event, ..)| event.created_at).collect();
        let visitors: Vec<Uuid> = stored().map(|(event, ..)| Uuid::from_bytes(*event.visitor.as_bytes())).collect();
        let event_types: Vec<&str> = stored().map(|(event, ..)| event.event_type.name()).collect();
        let pages: Vec<Option<&str>> =
            stored().map(|(event, ..)| event.page_url.as_ref().map(|url| url.as_str())).collect();
        let referrers: Vec<Option<&str>> =
            stored().map(|(event, ..)| event.referrer.as_ref().map(|url| url.as_str())).collect();
        let data: Vec<Option<&str>> = stored().map(|(event, ..)| event.data.stored()).collect();
        let facts = stored().map(|(event, ..)| event.facts.stored());
        let (arrivals, clients): (Vec<_>, Vec<_>) = facts.map(|[arrival, client]| (arrival, client)).unzip();
        let [counted_sites, counted_days, dimensions, values, ns] = sums.parameters();
        let parameters: [Parameter<'_>; 19] = [
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
            counted_sites,
            counted_days,
            dimensions,
            values,
            ns,
        ];
        client.execute(&sql.write, &parameters).await
    };
    // In the order of what fails first: the first error is the one that tells.
    let (written, clicks, committed) = tokio::join!(
        biased;
        write,
        sql.tables.add_clicks(client, rows),
        client.batch_execute("commit"),
    );
    written.and(clicks).map(drop).and(committed)
}

/// Whether an event found no partition for its day: it was dropped, or never made.
pub(super) fn lacks_partition(error: &Error) -> bool {
    error.code() == Some(&SqlState::CHECK_VIOLATION)
}

/// Finds the sites' numbers, and makes those sites that are not there, as long as there are
/// fewer than [`Site::MOST`].
pub(super) async fn number_sites(client: &mut Client, lore: &mut Lore, names: &[&str]) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(LOCK_SITES).await?;
    transaction
        .execute(
            "insert into analytics_sites (name)
             select q.name from unnest($1::text[]) with ordinality as q (name, at)
             where not exists (select from analytics_sites s where s.name = q.name)
             order by q.at limit greatest(0, $2 - (select count(*) from analytics_sites))
             on conflict do nothing",
            &[&names, &(Site::MOST as i64)],
        )
        .await?;
    // Once there is no room for more, all of them, so that nobody has to ask again.
    let rows = transaction
        .query(
            "select name, id from analytics_sites
             where name = any($1) or (select count(*) from analytics_sites) >= $2",
            &[&names, &(Site::MOST as i64)],
        )
        .await?;
    transaction.commit().await?;
    for row in &rows {
        if let Some(site) = Site::parse(row.try_get(0)?) {
            lore.sites.insert(site, row.try_get(1)?);
        }
    }
    lore.sites_full = lore.sites.len() >= Site::MOST;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_was_committed_if_all_its_events_stand_where_it_put_them() {
        let places = vec![Place::Stored(Position(7)), Place::Duplicate, Place::Stored(Position(8))];
        let plan = Plan { places, ..Plan::default() };
        let day = Some(Day::from_number(20_000));
        let was = |found: &[(i64, i64)]| {
            let found: Vec<_> = found.iter().map(|(at, position)| (*at, Some(*position), day)).collect();
            was_committed(&plan, &found)
        };
        assert!(was(&[(1, 7), (2, 3), (3, 8)]));
        assert!(was(&[(1, 2), (1, 7), (2, 3), (3, 8)]), "an id of a day that was dropped may be there, too");
        assert!(!was(&[]));
        assert!(!was(&[(1, 7), (2, 3)]), "one is not there");
        assert!(!was(&[(1, 7), (3, 8)]), "what was there before is not");
        assert!(!was(&[(1, 7), (2, 3), (3, 9)]), "somebody else has stored it");
    }
}
