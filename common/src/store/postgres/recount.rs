//! `verify` and `rebuild`: all counters and click cells counted anew beside the stored ones, by
//! the code that counts events as they arrive, and compared row by row; then Redis is compared
//! with PostgreSQL.

use tokio_postgres::Client;
use tokio_postgres::error::Error;

use super::append;
use super::changes::{Changes, Full, Rows, Tables};
use super::connection::Connections;
use super::facts::{self, Horizon};
use super::rows::{COLUMNS, committed};
use super::values::{count, from_text};
use crate::site::Site;
use crate::store::{Difference, Progress, Recount, Result};
use crate::tally::{Dimension, Tally};
use crate::time::{DAY, HOUR, Timestamp};

/// The hours of click cells that are compared: as many as can be asked for.
const CLICK_HOURS: i64 = 168;
/// Events that are read at a time.
const CHUNK: i64 = 10_000;
/// A recount takes as long as it takes.
const SLOW: &str = "set statement_timeout = 0; set lock_timeout = '60s';
    set idle_in_transaction_session_timeout = '10min'";

/// Tables like the stored ones, gone with the transaction.
const TABLES: &str = "
    create temporary table recount_counters (like analytics_counters including all) on commit drop;
    create temporary table recount_click_targets (like analytics_click_targets including all) on commit drop;
    create temporary table recount_clicks (like analytics_clicks including all) on commit drop";

/// Recounts on one snapshot.
pub(super) async fn verify(connections: &Connections, now: Timestamp, progress: &Progress) -> Result<Recount> {
    let client = connections.own().await?;
    client.batch_execute(SLOW).await?;
    client.batch_execute("begin isolation level repeatable read").await?;
    let (recount, _) = count_again(&client, now, progress).await?;
    client.batch_execute("rollback").await?;
    Ok(recount)
}

/// Recounts while holding the lock of all sites, and puts what was counted in the place of what
/// was stored.
pub(super) async fn rebuild(connections: &Connections, now: Timestamp, progress: &Progress) -> Result<Recount> {
    let client = connections.own().await?;
    client.batch_execute(SLOW).await?;
    client.batch_execute("begin").await?;
    // Nobody appends from here on, to new sites neither: each later statement sees the same events.
    client.batch_execute(append::LOCK_SITES).await?;
    client.batch_execute("select from analytics_sites order by id for no key update").await?;
    let (recount, horizon) = count_again(&client, now, progress).await?;
    let kept = horizon.kept();
    let first_hour = i32::try_from(kept.start().hour()).unwrap_or(0);
    client.execute("delete from analytics_counters where day >= $1", &[&kept]).await?;
    client.execute("delete from analytics_click_targets where day >= $1", &[&kept]).await?;
    client.execute("delete from analytics_clicks where hour >= $1", &[&first_hour]).await?;
    client
        .batch_execute(
            "insert into analytics_counters select * from recount_counters;
             insert into analytics_click_targets select * from recount_click_targets;
             insert into analytics_clicks select * from recount_clicks;
             commit",
        )
        .await?;
    Ok(recount)
}

async fn count_again(client: &Client, now: Timestamp, progress: &Progress) -> Result<(Recount, Horizon), Error> {
    client.batch_execute(TABLES).await?;
    let horizon = facts::horizon(client).await?;
    let start = horizon.kept().start();
    let total = client
        .query_one("select count(*) from analytics_events where created_at >= $1", &[&start])
        .await?
        .try_get(0)?;
    let mut recount = Recount::default();
    let tables = Tables::prepare(client, "recount").await?;
    for row in client.query("select id, name from analytics_sites order by id", &[]).await? {
        let (id, name): (i32, &str) = (row.try_get(0)?, row.try_get(1)?);
        let site = Site::parse(name).unwrap_or_default();
        recount.events += add_site(client, &tables, (id, &site), start, |done| {
            progress(recount.events + done, count(total));
        })
        .await?;
    }
    progress(recount.events, count(total));
    compare(client, horizon, now, &mut recount).await?;
    Ok((recount, horizon))
}

/// Counts a site's events in the order of their positions.
async fn add_site(
    client: &Client,
    tables: &Tables,
    (id, site): (i32, &Site),
    start: Timestamp,
    progress: impl Fn(u64),
) -> Result<u64, Error> {
    // A cursor sorts once, and needs no index to be walked in ninety partitions at once.
    client
        .batch_execute(&format!(
            "declare events no scroll cursor for select {COLUMNS} from analytics_events
             where site = {id} and created_at >= '{start}' order by position"
        ))
        .await?;
    let (mut done, mut full) = (0, Full::default());
    loop {
        let rows = client.query_typed(&format!("fetch {CHUNK} from events"), &[]).await?;
        if rows.is_empty() {
            break;
        }
        let mut changes = Changes::default();
        for row in &rows {
            let event = committed(site, row)?.event;
            changes.add(id, event.created_at.day(), event.created_at.hour(), &Tally::of(&event));
        }
        let mut known = tables.look(client, &changes).await?;
        tables.measure(client, &changes, &mut known, &full).await?;
        tables.add(client, &Rows::of(changes, known, &mut full)).await?;
        done += rows.len() as u64;
        progress(done);
    }
    client.batch_execute("close events").await?;
    Ok(done)
}

/// Both sides of the counters, beside each other.
const COUNTERS: &str = "select s.name, c.day, c.dimension, c.value, sum(expected)::int8, sum(found)::int8 from (
        select site, day, dimension, value, n as expected, 0 as found from recount_counters
        union all select site, day, dimension, value, 0, n from analytics_counters where day >= $1
    ) c left join analytics_sites s on s.id = c.site
    group by s.name, c.day, c.dimension, c.value having sum(expected) <> sum(found)";

/// Both sides of the click cells.
const CLICKS: &str = "select s.name, hour, page, x, y, sum(expected)::int8, sum(found)::int8 from (
        select c.site, hour, page, element, x, y, n as expected, 0 as found from recount_clicks c
            join recount_click_targets t
              on t.site = c.site and t.day = date '1970-01-01' + c.hour / 24 and t.name = c.target
            where hour > $1
        union all select c.site, hour, page, element, x, y, 0, n from analytics_clicks c
            left join analytics_click_targets t
              on t.site = c.site and t.day = date '1970-01-01' + c.hour / 24 and t.name = c.target
            where hour > $1
    ) c left join analytics_sites s on s.id = c.site
    group by s.name, hour, page, element, x, y having sum(expected) <> sum(found)";

async fn compare(client: &Client, horizon: Horizon, now: Timestamp, recount: &mut Recount) -> Result<(), Error> {
    let first_hour = (now.hour() - CLICK_HOURS).max(horizon.kept().start().hour());
    let first_hour = i32::try_from(first_hour).unwrap_or(0);
    let compared = client
        .query_one(
            "select (select count(*) from recount_counters) + (select count(*) from recount_clicks where hour > $1)",
            &[&first_hour],
        )
        .await?;
    recount.aggregates += count(compared.try_get(0)?);
    for row in client.query(COUNTERS, &[&horizon.kept()]).await? {
        let dimension = usize::try_from(row.try_get::<_, i16>(2)?).ok().and_then(|at| Dimension::ALL.get(at));
        let (site, day): (Option<&str>, crate::time::Day) = (row.try_get(0)?, row.try_get(1)?);
        let value = from_text(row.try_get(3)?);
        let aggregate = format!("site {}, {day}, {dimension:?} {value:?}", site.unwrap_or("unknown"));
        note(recount, aggregate, row.try_get(4)?, row.try_get(5)?);
    }
    for row in client.query(CLICKS, &[&first_hour]).await? {
        let (site, hour): (Option<&str>, i32) = (row.try_get(0)?, row.try_get(1)?);
        let at = Timestamp::from_millis(i64::from(hour) * HOUR);
        let page = from_text(row.try_get::<_, Option<&str>>(2)?.unwrap_or_default());
        let aggregate = format!(
            "site {}, {} {:02}:00, clicks on {page:?} at {}, {}",
            site.unwrap_or("unknown"),
            at.day(),
            at.millis() % DAY / HOUR,
            row.try_get::<_, i16>(3)?,
            row.try_get::<_, i16>(4)?,
        );
        note(recount, aggregate, row.try_get(5)?, row.try_get(6)?);
    }
    Ok(())
}

fn note(recount: &mut Recount, aggregate: String, expected: i64, found: i64) {
    recount.different += 1;
    if recount.differences.len() < Recount::MOST_LISTED {
        recount.differences.push(Difference { aggregate, expected, found });
    }
}
