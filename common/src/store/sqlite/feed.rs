//! The event log, read: by time for the timeline, by position for the live feed.

use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};
use uuid::Uuid;

use super::rows::{COLUMNS, EVENTS, committed, count};
use super::sites;
use crate::event::Event;
use crate::site::Site;
use crate::store::{Committed, Position, TimelineFrom};

/// Events of all sites together, the latest, after which the feed can be resumed: the bound of a
/// search for a quiet site's events among those of busy ones.
const RESUMABLE: i64 = 100_000;

/// Events newest first by their own time.
pub(super) fn timeline(
    connection: &Connection,
    site: &Site,
    from: TimelineFrom,
    limit: usize,
) -> rusqlite::Result<Vec<Event>> {
    let Some(id) = sites::find(connection, site)? else { return Ok(Vec::new()) };
    // The page is cut before addresses are joined. The index has seconds; only events of the same second
    // are sorted.
    let page = |condition: &str, rest: &str| {
        format!(
            "with page as materialized (
                 select position, id as event_id, created_at as at from events
                 where site = ?1 and created_at / 1000 <= ?3 / 1000 {condition}
                 order by created_at / 1000 desc, created_at desc, id desc {rest}
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
            page("and (created_at, id) < (?3, ?4)", "limit ?2"),
            vec![Box::new(id), Box::new(limit as i64), Box::new(at.millis()), Box::new(*event.as_bytes())],
        ),
    };
    let mut find = connection.prepare_cached(&sql)?;
    let rows = find.query_map(params_from_iter(values), |row| Ok(committed(site, row)?.event))?;
    rows.collect()
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

/// The position of the latest event of all sites.
pub(super) fn latest_position(connection: &Connection) -> rusqlite::Result<Position> {
    let mut find = connection.prepare_cached("select coalesce(max(position), 0) from events")?;
    find.query_row([], |row| row.get(0)).map(|position| Position(count(position)))
}

/// Events after a place, in order of position.
pub(super) fn committed_after(
    connection: &Connection,
    site: &Site,
    after: Position,
    limit: usize,
) -> rusqlite::Result<Vec<Committed>> {
    let Some(id) = sites::find(connection, site)? else { return Ok(Vec::new()) };
    // `+` keeps the planner from the index by site and time, which would sort all events of the site.
    let sql =
        format!("select {COLUMNS} from {EVENTS} where e.position > ?1 and +e.site = ?2 order by e.position limit ?3");
    let mut find = connection.prepare_cached(&sql)?;
    find.query_map(params![after.0 as i64, id, limit as i64], |row| committed(site, row))?.collect()
}
