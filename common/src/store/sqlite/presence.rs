//! Which visitors are present: the latest event of each visitor of the last hour.
//!
//! The table `presence` follows the events, and is about a second behind them. It is sorted by visitor, so that
//! each event changes another page of it; most visitors send several events in a second, and change their page
//! once. Up to which position the table has all events is noted beside it (`present_until`), and what reads the
//! table looks at the events after that position, too. So answers have every event that is committed, in each
//! process, also after a crash.

use rusqlite::{Connection, params};

use super::keep;
use super::rows::{VISITOR, WITH_ID, visitor};
use crate::event::MAX_CLOCK_SKEW;
use crate::time::{HOUR, SECOND, Timestamp};

/// How far back the table reaches, in milliseconds: the widest active window.
const REACH: i64 = HOUR;
/// It follows when it is so many events behind, or so many milliseconds have passed and there are any.
const BEHIND: u64 = 4_096;
const FOLLOW_EVERY: u64 = SECOND.unsigned_abs();
/// How often visitors long gone are deleted, in milliseconds: a minute.
const PRUNE_EVERY: u64 = (HOUR / 60).unsigned_abs();
/// A commit changes at least so many rows, if that many are to be changed.
const LEAST: usize = 16;

/// The position up to which the table has the events.
const UNTIL: &str = "present_until";

/// Keeps the table.
#[derive(Debug)]
pub(super) struct Presence {
    /// The position up to which it has the events, if that is known.
    until: Option<u64>,
    /// The rows to be changed until it has all events up to `next`, in the order of the table from the end.
    rows: Vec<(i64, [u8; 16], i64)>,
    next: u64,
    followed: Timestamp,
    pruned: Timestamp,
}

impl Presence {
    pub(super) fn new() -> Self {
        let never = Timestamp::from_millis(0);
        Self { until: None, rows: Vec::new(), next: 0, followed: never, pruned: never }
    }

    /// Forgets what is known: after a rollback, or when another process wrote.
    pub(super) fn forget(&mut self) {
        self.until = None;
        self.rows.clear();
    }

    /// Follows the events within a transaction that has inserted so many, up to this position. It changes about
    /// as many rows, so that no commit takes much longer than others.
    pub(super) fn follow(
        &mut self,
        connection: &Connection,
        inserted: usize,
        position: u64,
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        let until = match self.until {
            Some(until) => until,
            None => keep::fact(connection, UNTIL)?.unwrap_or(0).unsigned_abs(),
        };
        self.until = Some(until);
        if self.rows.is_empty() {
            let behind = position.saturating_sub(until);
            if behind == 0 || behind < BEHIND && !is_due(self.followed, FOLLOW_EVERY, now) {
                return Ok(());
            }
            (self.next, self.followed) = (position, now);
            self.rows = rows_after(connection, until, now)?;
        }
        let mut see = connection.prepare_cached(
            "insert into presence (site, visitor, last_seen) values (?1, ?2, ?3)
             on conflict do update set last_seen = excluded.last_seen where excluded.last_seen > last_seen",
        )?;
        let rest = self.rows.len().saturating_sub(inserted.max(LEAST));
        for (site, visitor, seen) in self.rows.drain(rest..).rev() {
            see.execute(params![site, visitor, seen])?;
        }
        if self.rows.is_empty() {
            keep::put(connection, UNTIL, self.next as i64)?;
            self.until = Some(self.next);
        }
        Ok(())
    }

    /// Deletes visitors long gone, once a minute.
    pub(super) fn prune(&mut self, connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        if is_due(self.pruned, PRUNE_EVERY, now) {
            self.pruned = now;
            connection.execute("delete from presence where last_seen < ?1", [now.plus(-REACH).millis()])?;
        }
        Ok(())
    }
}

// Without `not indexed` SQLite would group by an index, which has all events.

fn rows_after_sql() -> String {
    format!(
        "select e.site, {VISITOR} as visitor, max(e.created_at) from main.events e not indexed {WITH_ID}
         where e.position > ?1 and e.created_at >= ?2
         group by 1, 2 order by 1 desc, 2 desc"
    )
}

/// Those who are current by the table, and for each who came after its position what that changes.
fn current_sql() -> String {
    format!(
        "select (select count(*) from presence where site = ?1 and last_seen > ?2 and last_seen <= ?3)
              + (select coalesce(sum(
                     (max(seen, coalesce(last_seen, seen)) <= ?3) - coalesce(last_seen > ?2 and last_seen <= ?3, 0)
                 ), 0)
                 from (
                     select {VISITOR} as visitor, max(e.created_at) as seen from main.events e not indexed {WITH_ID}
                     where e.position > (select value from meta where name = '{UNTIL}')
                       and e.site = ?1 and e.created_at > ?2
                     group by 1
                 ) latest
                 left join presence on presence.site = ?1 and presence.visitor = latest.visitor)"
    )
}

/// The latest event of each visitor among those after a position, the last row first. Events from before the
/// table's reach are passed over: an imported log would fill it with rows that are deleted at once.
fn rows_after(connection: &Connection, position: u64, now: Timestamp) -> rusqlite::Result<Vec<(i64, [u8; 16], i64)>> {
    let mut find = connection.prepare_cached(&rows_after_sql())?;
    let after = params![position as i64, now.plus(-REACH).millis()];
    find.query_map(after, |row| Ok((row.get(0)?, visitor(row, 1)?, row.get(2)?)))?.collect()
}

/// Whether it is so long ago, in either direction: a clock that was ahead must not end it.
const fn is_due(last: Timestamp, every: u64, now: Timestamp) -> bool {
    now.millis().abs_diff(last.millis()) >= every
}

/// How many visitors of a site have their latest event within so many milliseconds until now.
pub(super) fn current(connection: &Connection, site: i64, now: Timestamp, window: i64) -> rusqlite::Result<i64> {
    let mut count = connection.prepare_cached(&current_sql())?;
    let end = now.plus(MAX_CLOCK_SKEW);
    count.query_row(params![site, now.plus(-window).millis(), end.millis()], |row| row.get(0))
}

/// A query of the latest event of each visitor, as (site, visitor, n), of visitors who came after this instant.
pub(super) fn latest(after: Timestamp) -> String {
    let after = after.millis();
    format!(
        "select site, visitor, max(n) as n from (
             select site, visitor, last_seen as n from main.presence
             union all select e.site, {VISITOR}, e.created_at from main.events e not indexed {WITH_ID}
             where e.position > (select value from main.meta where name = '{UNTIL}')
         ) where n > {after} group by site, visitor"
    )
}

/// The same query, of the events alone.
pub(super) fn latest_of_events(after: Timestamp) -> String {
    let after = after.millis();
    format!(
        "select e.site, {VISITOR} as visitor, max(e.created_at) as n
         from main.sites s cross join main.events e {WITH_ID}
         where e.site = s.id and e.created_at / 1000 >= {after} / 1000 and e.created_at > {after}
         group by 1, 2"
    )
}

/// Makes the table anew from the events.
pub(super) fn replace(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection.execute("delete from main.presence", [])?;
    connection.execute(&format!("insert into main.presence {}", latest_of_events(now.plus(-REACH))), [])?;
    let position: i64 =
        connection.query_row("select coalesce(max(position), 0) from main.events", [], |row| row.get(0))?;
    keep::put(connection, UNTIL, position)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::store::sqlite::connection::migrate;

    fn empty() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        connection.execute("insert into sites (id, name) values (1, 'default')", []).unwrap();
        connection
    }

    fn insert(connection: &Connection, position: u64, visitor: u8, at: Timestamp) {
        let event = params![position as i64, u128::from(position).to_be_bytes(), [visitor; 16], at.millis()];
        connection
            .execute(
                "insert into events (position, site, id, visitor, event_type, created_at) values (?1, 1, ?2, ?3, 1, ?4)",
                event,
            )
            .unwrap();
    }

    fn rows(connection: &Connection) -> i64 {
        connection.query_row("select count(*) from presence", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn each_commit_changes_about_as_many_rows_as_it_has_events() {
        let (connection, mut presence) = (empty(), Presence::new());
        let now = Timestamp::from_millis(1_000_000_000);
        (1..=100).for_each(|visitor| insert(&connection, visitor.into(), visitor, now));
        for (inserted, expected) in [(100, 100), (1, 100)] {
            presence.follow(&connection, inserted, 100, now).unwrap();
            assert_eq!(rows(&connection), expected);
        }
        (101..=200).for_each(|visitor| insert(&connection, visitor.into(), visitor, now));
        presence.follow(&connection, 100, 200, now.plus(SECOND - 1)).unwrap();
        assert_eq!(rows(&connection), 100, "a second is not over");
        for (inserted, expected) in [(1, 116), (50, 166), (50, 200)] {
            presence.follow(&connection, inserted, 200, now.plus(SECOND)).unwrap();
            assert_eq!(rows(&connection), expected);
            assert_eq!(current(&connection, 1, now.plus(SECOND), HOUR).unwrap(), 200);
        }
        assert_eq!(keep::fact(&connection, UNTIL).unwrap(), Some(200));
    }

    #[test]
    fn only_events_after_the_position_are_read() {
        let connection = empty();
        for query in [latest(Timestamp::from_millis(0)), rows_after_sql(), current_sql()] {
            let mut plan = connection.prepare(&format!("explain query plan {query}")).unwrap();
            let numbers = vec![1; plan.parameter_count()];
            let steps = plan.query_map(rusqlite::params_from_iter(numbers), |row| row.get::<_, String>(3)).unwrap();
            let of_events = |step: &String| step.contains(" e ") || step.contains(" v ");
            let mut steps: Vec<String> = steps.map(Result::unwrap).filter(of_events).collect();
            steps.sort();
            let rows = "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)";
            let ids = "SEARCH v USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN";
            assert_eq!(steps, [rows, ids], "{query}");
        }
    }

    proptest! {
        #[test]
        fn current_visitors_are_those_of_a_recount(
            commits in proptest::collection::vec(
                (0..700_i64, any::<bool>(), proptest::collection::vec((any::<u8>(), -4_000..400_i64), 0..40)), 1..20)
        ) {
            let (connection, mut presence) = (empty(), Presence::new());
            let mut now = Timestamp::from_millis(1_000_000_000);
            let (mut position, mut seen) = (0, HashMap::new());
            for (later, forgets, events) in commits {
                now = now.plus(later);
                for (visitor, seconds) in &events {
                    let at = now.plus(*seconds * SECOND);
                    position += 1;
                    insert(&connection, position, *visitor, at);
                    let seen = seen.entry(*visitor).or_insert(at);
                    *seen = at.max(*seen);
                }
                presence.follow(&connection, events.len(), position, now).unwrap();
                presence.prune(&connection, now).unwrap();
                if forgets {
                    presence.forget();
                }
                for window in [60 * SECOND, HOUR] {
                    let is_current = |at: &&Timestamp| **at > now.plus(-window) && **at <= now.plus(MAX_CLOCK_SKEW);
                    let expected = seen.values().filter(is_current).count() as i64;
                    prop_assert_eq!(current(&connection, 1, now, window).unwrap(), expected);
                }
            }
        }
    }
}
