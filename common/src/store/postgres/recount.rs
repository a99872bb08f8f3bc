//! `verify` and `rebuild`: totals and visitors derived from the events again, and compared with the
//! stored ones row by row.

use std::collections::BTreeMap;

use tokio_postgres::Client;
use tokio_postgres::error::Error;

use super::connection::Connections;
use super::rows::{COLUMNS, committed};
use super::totals::{self, figures_of};
use super::values::count;
use super::{keep, sites};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Difference, Progress, Recount, Result, Totals};
use crate::time::Day;

/// Events that are read at a time.
const CHUNK: i64 = 10_000;
/// A recount takes as long as it takes.
const SESSION: &str = "set statement_timeout = 0; set lock_timeout = '60s';
    set idle_in_transaction_session_timeout = '10min'";

/// Totals by site and bucket.
type AllTotals = BTreeMap<(i32, i64), Totals>;

/// Recounts on one snapshot.
pub(super) async fn verify(connections: &Connections, progress: &Progress) -> Result<Recount> {
    let client = connections.own().await?;
    client.batch_execute(SESSION).await?;
    client.batch_execute("begin isolation level repeatable read").await?;
    let (recount, ..) = recount(&client, progress).await?;
    client.batch_execute("rollback").await?;
    Ok(recount)
}

/// Recounts while holding the lock of all sites, and puts the result in the place of what was stored.
pub(super) async fn rebuild(connections: &Connections, progress: &Progress) -> Result<Recount> {
    let client = connections.own().await?;
    client.batch_execute(SESSION).await?;
    client.batch_execute("begin").await?;
    // Nothing is appended from here on, to new sites neither: each later statement sees the same events.
    client.batch_execute(sites::LOCK).await?;
    client.batch_execute("select from analytics_sites order by id for no key update").await?;
    let (recount, since, expected) = recount(&client, progress).await?;
    client.execute("delete from analytics_totals where bucket >= $1", &[&first_bucket(since)]).await?;
    let (sites, buckets): (Vec<i32>, Vec<i64>) = expected.keys().copied().unzip();
    let figures: [Vec<i64>; 6] =
        std::array::from_fn(|at| expected.values().map(|totals| figures_of(totals)[at] as i64).collect());
    let [events, page_views, letters, motivation, anti_motivation, visitors] = &figures;
    client
        .execute(
            "insert into analytics_totals select * from unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[],
                 $5::int8[], $6::int8[], $7::int8[], $8::int8[])",
            &[&sites, &buckets, events, page_views, letters, motivation, anti_motivation, visitors],
        )
        .await?;
    client.execute("delete from analytics_visitors where month >= $1", &[&month_of(since)]).await?;
    client.batch_execute("insert into analytics_visitors select * from recount_visitors").await?;
    keep::note_change(&client).await?;
    client.batch_execute("commit").await?;
    Ok(recount)
}

/// Periods from here on are covered by events.
fn first_bucket(since: Day) -> i64 {
    PeriodKey::of(Period::Day, since).bucket()
}

fn month_of(day: Day) -> Day {
    PeriodKey::of(Period::Month, day).first_day()
}

/// Recounts all periods since the first kept day, and compares.
async fn recount(client: &Client, progress: &Progress) -> Result<(Recount, Day, AllTotals), Error> {
    let since = keep::kept_since(client).await?.unwrap_or(Day::from_number(0));
    let mut recount = Recount::default();
    let mut expected = count_events(client, since, &mut recount, progress).await?;
    count_visitors(client, since, &mut expected).await?;
    compare_totals(client, since, &expected, &mut recount).await?;
    compare_visitors(client, since, &mut recount).await?;
    Ok((recount, since, expected))
}

/// What the events add to all periods, their visitors apart.
async fn count_events(
    client: &Client,
    since: Day,
    recount: &mut Recount,
    progress: &Progress,
) -> Result<AllTotals, Error> {
    let start = since.start();
    let total = client.query_one("select count(*) from analytics_events where created_at >= $1", &[&start]).await?;
    let total = count(total.try_get(0)?);
    let mut totals = AllTotals::new();
    for row in client.query("select id, name from analytics_sites order by id", &[]).await? {
        let (id, name): (i32, &str) = (row.try_get(0)?, row.try_get(1)?);
        let site = Site::parse(name).unwrap_or_default();
        client
            .batch_execute(&format!(
                "declare events no scroll cursor for select {COLUMNS} from analytics_events
                 where site = {id} and created_at >= '{start}'"
            ))
            .await?;
        loop {
            let rows = client.query_typed(&format!("fetch {CHUNK} from events"), &[]).await?;
            for row in &rows {
                let event = committed(&site, row)?.event;
                for period in Period::ALL {
                    let key = PeriodKey::of(period, event.created_at.day());
                    *totals.entry((id, key.bucket())).or_default() += Totals::of(&event);
                }
            }
            if rows.is_empty() {
                break;
            }
            recount.events += rows.len() as u64;
            progress(recount.events, total);
        }
        client.batch_execute("close events").await?;
    }
    progress(recount.events, total);
    totals.retain(|(_, bucket), _| *bucket >= first_bucket(since));
    Ok(totals)
}

/// The distinct visitors of all periods, by site, kind of period and its first day.
const VISITORS: &str = "select site, p.kind, p.first, count(distinct visitor)
    from recount_visits cross join lateral (values
        (0, day), (1, date_trunc('week', day)::date), (2, date_trunc('month', day)::date)
    ) p (kind, first)
    where p.first >= $1 group by 1, 2, 3";

/// Fills the temporary table `recount_visitors` as `analytics_visitors` should be from the first
/// kept month on, and counts distinct visitors by period.
async fn count_visitors(client: &Client, since: Day, expected: &mut AllTotals) -> Result<(), Error> {
    let (start, month) = (since.start(), month_of(since));
    // Days of the first month that are not kept any more cannot be derived, and stay as they are.
    let dropped = (1_i64 << (since.number() - month.number())) - 1;
    client
        .batch_execute(&format!(
            "create temporary table recount_visits on commit drop as
                 select distinct site, (created_at at time zone 'UTC')::date as day, visitor
                 from analytics_events where created_at >= '{start}';
             create temporary table recount_visitors on commit drop as
                 select site, month, visitor, bit_or(days) as days from (
                     select site, date_trunc('month', day)::date as month, visitor,
                         1 << (extract(day from day)::integer - 1) as days
                     from recount_visits
                     union all
                     select site, month, visitor, days & {dropped}::integer from analytics_visitors
                     where month = '{month}' and days & {dropped}::integer <> 0
                 ) v group by site, month, visitor"
        ))
        .await?;
    for row in client.query(VISITORS, &[&since]).await? {
        let period = usize::try_from(row.try_get::<_, i32>(1)?).ok().and_then(|kind| Period::ALL.get(kind));
        if let Some(period) = period {
            let bucket = PeriodKey::of(*period, row.try_get(2)?).bucket();
            expected.entry((row.try_get(0)?, bucket)).or_default().visitors = count(row.try_get(3)?);
        }
    }
    Ok(())
}

async fn compare_totals(client: &Client, since: Day, expected: &AllTotals, recount: &mut Recount) -> Result<(), Error> {
    let sql = format!("select site, bucket, {} from analytics_totals where bucket >= $1", totals::COLUMNS);
    let mut names = BTreeMap::<i32, String>::new();
    for row in client.query("select id, name from analytics_sites", &[]).await? {
        names.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let mut found = AllTotals::new();
    for row in client.query(&sql, &[&first_bucket(since)]).await? {
        found.insert((row.try_get(0)?, row.try_get(1)?), totals::read(&row, 2)?);
    }
    let all: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).copied().collect();
    for (site, bucket) in all {
        let of = |totals: &AllTotals| figures_of(&totals.get(&(site, bucket)).copied().unwrap_or_default());
        let key = PeriodKey::from_bucket(bucket).map_or_else(|| format!("bucket {bucket}"), |key| key.to_string());
        for ((name, expected), found) in totals::COLUMNS.split(", ").zip(of(expected)).zip(of(&found)) {
            recount.aggregates += 1;
            if expected != found {
                let site = names.get(&site).map_or("unknown", String::as_str);
                note(recount, format!("site {site}, {key}, {name}"), expected as i64, found as i64);
            }
        }
    }
    Ok(())
}

async fn compare_visitors(client: &Client, since: Day, recount: &mut Recount) -> Result<(), Error> {
    let stored = client.query_one("select count(*) from recount_visitors", &[]).await?;
    recount.aggregates += count(stored.try_get(0)?);
    let different = "select s.name, month, coalesce(r.days, 0)::int8, coalesce(v.days, 0)::int8
        from recount_visitors r
        full join (select * from analytics_visitors where month >= $1) v using (site, month, visitor)
        left join analytics_sites s on s.id = site
        where r.days is distinct from v.days";
    for row in client.query(different, &[&month_of(since)]).await? {
        let (site, month): (Option<&str>, Day) = (row.try_get(0)?, row.try_get(1)?);
        let month = PeriodKey::of(Period::Month, month);
        let aggregate = format!("site {}, {month}, days of a visitor, as bits", site.unwrap_or("unknown"));
        note(recount, aggregate, row.try_get(2)?, row.try_get(3)?);
    }
    Ok(())
}

fn note(recount: &mut Recount, aggregate: String, expected: i64, found: i64) {
    recount.different += 1;
    if recount.differences.len() < Recount::MOST_LISTED {
        recount.differences.push(Difference { aggregate, expected, found });
    }
}
