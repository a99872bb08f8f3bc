//! Questions that PostgreSQL answers: those that Redis has nothing for always, the others while
//! Redis is away.

use std::collections::HashMap;
use std::ops::Range;

use tokio_postgres::error::Error;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connection::{Asked, Connections};
use super::facts::Horizon;
use super::rows::{COLUMNS, committed};
use super::values::{count, from_text, to_text};
use crate::event::{Event, MAX_CLOCK_SKEW};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Position, Realtime, Result, TimelineFrom, Totals};
use crate::tally::Dimension;
use crate::tally::{ClickCell, Ranking};
use crate::time::{Day, Timestamp};

/// A bound parameter.
type Value<'a> = &'a (dyn ToSql + Sync);

/// Prepares a statement once a connection and asks with it.
async fn query(client: &Asked, sql: &str, values: &[Value<'_>]) -> Result<Vec<tokio_postgres::Row>, Error> {
    let statement = client.prepare_cached(sql).await?;
    client.query(&statement, values).await
}

/// The number of the site that is the first parameter; null for one that was never seen.
const SITE: &str = "(select id from analytics_sites where name = $1)";

/// As [`Store::realtime`](crate::store::Store::realtime).
pub(super) async fn realtime(
    connections: &Connections,
    site: &Site,
    now: Timestamp,
    window: i64,
    horizon: Horizon,
) -> Result<Realtime> {
    let today = PeriodKey::of(Period::Day, now.day());
    let totals = totals(connections, site, today, horizon).await?;
    // A visitor whose latest event lies too far ahead is not counted, even with earlier ones.
    let sql = format!(
        "select count(*) from (
             select max(created_at) as last_seen from analytics_events
             where site = {SITE} and created_at > $2 group by visitor
         ) v where last_seen <= $3"
    );
    let current = connections
        .ask("realtime", |client| async {
            let client = client;
            let rows = query(&client, &sql, &[&site.as_str(), &now.plus(-window), &now.plus(MAX_CLOCK_SKEW)]).await?;
            rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))
        })
        .await?;
    Ok(Realtime {
        current_visitors: count(current),
        unique_today: totals.visitors,
        total_events: totals.events,
        letters_today: totals.letters,
    })
}

/// As [`Store::totals`](crate::store::Store::totals). Distinct visitors are counted among the events
/// and, of days whose events were dropped, among the copies of their visitors; of periods whose
/// visitors are gone, the number is left that was counted before.
pub(super) async fn totals(connections: &Connections, site: &Site, key: PeriodKey, horizon: Horizon) -> Result<Totals> {
    if !horizon.answers(key) {
        return Ok(Totals::default());
    }
    let sums = format!(
        "select dimension, value, sum(n)::int8 from analytics_counters
         where site = {SITE} and day between $2 and $3
           and (dimension in (0, 3) or dimension = 1 and value in ('page_view', 'letter_generate'))
         group by dimension, value"
    );
    let visitors = format!(
        "select count(distinct visitor) from (
             select visitor from analytics_events where site = {SITE} and created_at >= $2 and created_at < $3
             union all select visitor from analytics_visitors where site = {SITE} and day between $4 and $5
         ) v"
    );
    let counted = format!("select n from analytics_uniques where site = {SITE} and bucket = $2");
    let (first, last) = (key.first_day(), key.last_day());
    let (start, end) = (first.start(), last.plus(1).start());
    connections
        .ask("totals", |client| async {
            let client = client;
            let name = site.as_str();
            let bucket = key.bucket();
            let (sums, visitors, counted) = tokio::try_join!(
                async { query(&client, &sums, &[&name, &first, &last]).await },
                async { query(&client, &visitors, &[&name, &start, &end, &first, &last]).await },
                async { query(&client, &counted, &[&name, &bucket]).await },
            )?;
            let mut totals = Totals::default();
            for row in &sums {
                let n = count(row.try_get(2)?);
                match (row.try_get::<_, i16>(0)?, row.try_get(1)?) {
                    (0, _) => totals.events = n,
                    (1, "page_view") => totals.page_views = n,
                    (1, _) => totals.letters = n,
                    (_, "motivation") => totals.motivation = n,
                    _ => totals.anti_motivation = n,
                }
            }
            for row in visitors.iter().chain(&counted) {
                totals.visitors = totals.visitors.max(count(row.try_get(0)?));
            }
            Ok(totals)
        })
        .await
}

/// The most frequent values of a dimension on these days.
pub(super) async fn ranking(
    connections: &Connections,
    site: &Site,
    dimension: Dimension,
    days: (Day, Day),
    limit: usize,
) -> Result<Ranking> {
    let sql = format!(
        "select value, sum(n)::int8 as views, (sum(sum(n)) over ())::int8 from analytics_counters
         where site = {SITE} and day between $2 and $3 and dimension = $4
         group by value order by views desc, value limit $5"
    );
    connections
        .ask("ranking", |client| async {
            let client = client;
            let values: [Value<'_>; 5] = [&site.as_str(), &days.0, &days.1, &(dimension as i16), &(limit as i64)];
            let mut ranking = Ranking::default();
            for row in query(&client, &sql, &values).await? {
                ranking.total = count(row.try_get(2)?);
                ranking.rows.push((from_text(row.try_get(0)?), count(row.try_get(1)?)));
            }
            Ok(ranking)
        })
        .await
}

/// As [`Store::daily`](crate::store::Store::daily), of days that are still answered.
pub(super) async fn daily(
    connections: &Connections,
    site: &Site,
    dimension: Dimension,
    value: &str,
    days: Range<Day>,
    horizon: Horizon,
) -> Result<Vec<(Day, u64)>> {
    let counted = format!(
        "select day, n from analytics_counters
         where site = {SITE} and day >= $2 and day < $3 and dimension = $4 and value = $5"
    );
    let visitors = format!(
        "select day, count(distinct visitor) from (
             select (created_at at time zone 'UTC')::date as day, visitor from analytics_events
             where site = {SITE} and created_at >= $2 and created_at < $3
             union all select day, visitor from analytics_visitors where site = {SITE} and day >= $4 and day < $5
         ) v group by day"
    );
    let first = days.start.max(horizon.days_since);
    let found: HashMap<Day, u64> = connections
        .ask("daily", |client| async {
            let client = client;
            let name = site.as_str();
            let rows = if dimension == Dimension::Visitors {
                let values: [Value<'_>; 5] = [&name, &first.start(), &days.end.start(), &first, &days.end];
                query(&client, &visitors, &values).await?
            } else {
                let values: [Value<'_>; 5] = [&name, &first, &days.end, &(dimension as i16), &to_text(value)];
                query(&client, &counted, &values).await?
            };
            rows.iter().map(|row| Ok((row.try_get(0)?, count(row.try_get(1)?)))).collect()
        })
        .await?;
    let days = (days.start.number()..days.end.number()).map(Day::from_number);
    Ok(days.map(|day| (day, found.get(&day).copied().unwrap_or(0))).collect())
}

/// As [`Store::timeline`](crate::store::Store::timeline).
pub(super) async fn timeline(
    connections: &Connections,
    site: &Site,
    from: TimelineFrom,
    limit: usize,
) -> Result<Vec<Event>> {
    let page = |condition: &str| {
        format!(
            "select {COLUMNS} from analytics_events where site = {SITE} and {condition}
             order by created_at desc, id desc limit $2 offset $3"
        )
    };
    let limit = limit as i64;
    connections
        .ask("timeline", |client| async {
            let client = client;
            let name = site.as_str();
            let rows = match from {
                TimelineFrom::Newest { until, offset } => {
                    query(&client, &page("created_at <= $4"), &[&name, &limit, &i64::from(offset), &until]).await?
                }
                TimelineFrom::Below(at, id) => {
                    let sql = page("created_at <= $4 and (created_at, id) < ($4, $5)");
                    query(&client, &sql, &[&name, &limit, &0_i64, &at, &id]).await?
                }
            };
            rows.iter().map(|row| Ok(committed(site, row)?.event)).collect()
        })
        .await
}

/// As [`Store::heatmap`](crate::store::Store::heatmap).
pub(super) async fn heatmap(
    connections: &Connections,
    site: &Site,
    page: Option<&str>,
    hours: Range<i64>,
    limit: usize,
) -> Result<Vec<ClickCell>> {
    // Of the elements of a place, the most clicked one that has a name; ties by name.
    let sql = format!(
        "with elements as (
             select t.page, t.element, c.x, c.y, sum(c.n) as n
             from analytics_clicks c
             join analytics_click_targets t
               on t.site = c.site and t.day = date '1970-01-01' + c.hour / 24 and t.name = c.target
             where c.site = {SITE} and c.hour >= $2 and c.hour < $3 and ($4::text is null or t.page = $4)
             group by t.page, t.element, c.x, c.y
         )
         select page, x, y, sum(n)::int8 as clicks,
             (array_agg(element order by element = '', n desc, element))[1]
         from elements group by page, x, y order by clicks desc, page, y, x limit $5"
    );
    let hour = |hour: i64| i32::try_from(hour).unwrap_or(if hour < 0 { 0 } else { i32::MAX });
    let (from, to, page) = (hour(hours.start), hour(hours.end), page.map(to_text));
    connections
        .ask("heatmap", |client| async {
            let client = client;
            let rows = query(&client, &sql, &[&site.as_str(), &from, &to, &page, &(limit as i64)]).await?;
            let place = |n: i16| u8::try_from(n).unwrap_or(0);
            rows.iter()
                .map(|row| {
                    Ok(ClickCell {
                        page: from_text(row.try_get(0)?),
                        x: place(row.try_get(1)?),
                        y: place(row.try_get(2)?),
                        count: count(row.try_get(3)?),
                        element: from_text(row.try_get(4)?),
                    })
                })
                .collect()
        })
        .await
}

/// All sites, by name.
pub(super) async fn sites(connections: &Connections) -> Result<Vec<Site>> {
    connections
        .ask("sites", |client| async move {
            // A site that was made for a batch which then failed was never seen.
            let rows = query(&client, "select name from analytics_sites where position > 0 order by name", &[]).await?;
            let names = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<&str>, Error>>()?;
            Ok(names.into_iter().filter_map(Site::parse).collect())
        })
        .await
}

/// The place of a stored event, unless its day was dropped.
pub(super) async fn position(connections: &Connections, site: &Site, id: Uuid) -> Result<Option<Position>> {
    connections
        .ask("position", |client| async move {
            let rows = query(
                &client,
                "select max(i.position) from analytics_sites s join analytics_event_ids i on i.site = s.id
                 where s.name = $1 and i.id = $2 and (i.position > s.expired or i.day >= date '1970-01-01'
                     + coalesce((select value from analytics_meta where name = 'kept_since'), 0)::int)",
                &[&site.as_str(), &id],
            )
            .await?;
            let position = rows.first().map(|row| row.try_get::<_, Option<i64>>(0)).transpose()?.flatten();
            Ok(position.map(|position| Position(count(position))))
        })
        .await
}
