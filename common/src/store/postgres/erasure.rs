//! One visitor's data: found, and erased.

use tokio_postgres::error::Error;
use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use super::connection::Connections;
use super::feed::{SITE, query};
use super::keep;
use super::rows::{COLUMNS, committed};
use super::totals::figures_of;
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::visitors::{ERASED_AT_ONCE, days_of, is_only_day};
use crate::store::{Result, Totals};
use crate::time::{Day, Timestamp};
use crate::visitor::VisitorId;

/// Erasing may take longer than a question.
const SESSION: &str = "set statement_timeout = '60s'";

/// A visitor's months. The key has the month first: each of the few months is looked up.
const MONTHS: &str = "with recursive months (month) as (
        (select month from analytics_visitors where site = $1 order by month limit 1)
        union all
        select (select v.month from analytics_visitors v where v.site = $1 and v.month > m.month
                order by v.month limit 1)
        from months m where m.month is not null
    )
    select v.month, v.days from months m
    join analytics_visitors v on v.site = $1 and v.month = m.month and v.visitor = $2 order by v.month";

const FIND_SITE: &str = "select id from analytics_sites where name = $1";

/// Takes events and visitors out of totals; a period without events has none.
const SUBTRACT: &str = "update analytics_totals set
        events = events - $3, page_views = page_views - $4, letters = letters - $5, motivation = motivation - $6,
        anti_motivation = anti_motivation - $7, visitors = visitors - $8
    where site = $1 and bucket = $2";

fn uuid(visitor: VisitorId) -> Uuid {
    Uuid::from_bytes(*visitor.as_bytes())
}

/// The days on which a visitor came.
pub(super) async fn visit_days(connections: &Connections, site: &Site, visitor: VisitorId) -> Result<Vec<Day>> {
    connections
        .ask("visitor", |client| async move {
            let Some(site) = client.query_opt(FIND_SITE, &[&site.as_str()]).await? else { return Ok(Vec::new()) };
            days(&***client, site.try_get(0)?, visitor).await
        })
        .await
}

async fn days(client: &impl GenericClient, site: i32, visitor: VisitorId) -> Result<Vec<Day>, Error> {
    let rows = client.query(MONTHS, &[&site, &uuid(visitor)]).await?;
    let months = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<_, i32>(1)?)));
    let months = months.collect::<Result<Vec<(Day, i32)>, Error>>()?;
    Ok(months.into_iter().flat_map(|(month, bits)| days_of(month, bits.into())).collect())
}

/// A visitor's events of a day, oldest first.
pub(super) async fn events(
    connections: &Connections,
    site: &Site,
    visitor: VisitorId,
    day: Day,
    after: Option<(Timestamp, Uuid)>,
    limit: usize,
) -> Result<Vec<Event>> {
    let (at, id) = after.unwrap_or((day.start().plus(-1), Uuid::max()));
    let sql = format!(
        "select {COLUMNS} from analytics_events
         where site = {SITE} and created_at >= $2 and created_at < $3 and visitor = $4 and (created_at, id) > ($5, $6)
         order by created_at, id limit $7"
    );
    connections
        .ask("visitor", |client| async {
            let client = client;
            let values: [&(dyn ToSql + Sync); 7] =
                [&site.as_str(), &day.start(), &day.plus(1).start(), &uuid(visitor), &at, &id, &(limit as i64)];
            let rows = query(&client, &sql, &values).await?;
            rows.iter().map(|row| Ok(committed(site, row)?.event)).collect()
        })
        .await
}

/// One step of erasing a visitor's events of a day, under the lock of the site's writers.
pub(super) async fn erase_events(connections: &Connections, site: &Site, visitor: VisitorId, day: Day) -> Result<u64> {
    let mut client = connections.own().await?;
    client.batch_execute(SESSION).await?;
    let transaction = client.transaction().await?;
    let lock = format!("{FIND_SITE} for no key update");
    let Some(row) = transaction.query_opt(&lock, &[&site.as_str()]).await? else { return Ok(0) };
    let id: i32 = row.try_get(0)?;
    let sql = format!(
        "with erased as (
             delete from analytics_events where site = $1 and created_at >= $2 and created_at < $3 and ctid = any (array(
                 select ctid from analytics_events
                 where site = $1 and created_at >= $2 and created_at < $3 and visitor = $4 limit $5
             )) and visitor = $4 returning {COLUMNS}
         ), ids as (
             delete from analytics_event_ids i using erased where i.site = $1 and i.id = erased.id and i.day = $6
         )
         select * from erased"
    );
    let limit = ERASED_AT_ONCE as i64;
    let values: [&(dyn ToSql + Sync); 6] = [&id, &day.start(), &day.plus(1).start(), &uuid(visitor), &limit, &day];
    let erased = transaction.query(&sql, &values).await?;
    let kept_since = keep::kept_since(transaction.client()).await?;
    if kept_since.is_none_or(|kept_since| day >= kept_since) {
        let is_last = erased.len() < ERASED_AT_ONCE;
        let gone = if is_last { is_only_day(&days(&transaction, id, visitor).await?, day) } else { [false; 3] };
        subtract(&transaction, (site, id), day, &erased, gone).await?;
        if is_last {
            remove_day(&transaction, id, visitor, day).await?;
        }
    }
    keep::note_change(transaction.client()).await?;
    transaction.commit().await?;
    Ok(erased.len() as u64)
}

async fn subtract(
    client: &impl GenericClient,
    (site, id): (&Site, i32),
    day: Day,
    erased: &[Row],
    gone: [bool; 3],
) -> Result<(), Error> {
    let mut sum = Totals::default();
    for row in erased {
        sum += Totals::of(&committed(site, row)?.event);
    }
    for (period, gone) in Period::ALL.into_iter().zip(gone) {
        let totals = Totals { visitors: u64::from(gone), ..sum };
        let figures = figures_of(&totals).map(|n| n as i64);
        let bucket = PeriodKey::of(period, day).bucket();
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&id, &bucket];
        values.extend(figures.iter().map(|figure| figure as &(dyn ToSql + Sync)));
        client.execute(SUBTRACT, &values).await?;
    }
    client.execute("delete from analytics_totals where site = $1 and events = 0", &[&id]).await.map(drop)
}

async fn remove_day(client: &impl GenericClient, site: i32, visitor: VisitorId, day: Day) -> Result<(), Error> {
    let month = PeriodKey::of(Period::Month, day).first_day();
    let bit = 1_i32 << (day.number() - month.number());
    let key: [&(dyn ToSql + Sync); 4] = [&site, &month, &uuid(visitor), &bit];
    let row = "where site = $1 and month = $2 and visitor = $3";
    client.execute(&format!("delete from analytics_visitors {row} and days & ~$4::int4 = 0"), &key).await?;
    client.execute(&format!("update analytics_visitors set days = days & ~$4::int4 {row}"), &key).await.map(drop)
}

/// Deletes a visitor's days, and has other processes notice.
pub(super) async fn forget_visitor(connections: &Connections, site: &Site, visitor: VisitorId) -> Result<()> {
    let mut client = connections.own().await?;
    client.batch_execute(SESSION).await?;
    let transaction = client.transaction().await?;
    let lock = format!("{FIND_SITE} for no key update");
    if let Some(row) = transaction.query_opt(&lock, &[&site.as_str()]).await? {
        let delete = "delete from analytics_visitors where site = $1 and visitor = $2";
        transaction.execute(delete, &[&row.try_get::<_, i32>(0)?, &uuid(visitor)]).await?;
    }
    keep::note_change(transaction.client()).await?;
    keep::note_erasure(transaction.client()).await?;
    Ok(transaction.commit().await?)
}
