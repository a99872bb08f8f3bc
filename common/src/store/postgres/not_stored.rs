//! Counters of what was not stored.

use std::ops::Range;

use super::connection::Connections;
use super::values::count;
use crate::outcome::NotStored;
use crate::site::Site;
use crate::store::Result;
use crate::store::not_stored::Counts;
use crate::time::Day;

pub(super) async fn add(connections: &Connections, site: &Site, day: Day, counts: &Counts) -> Result<()> {
    // In the order of the names, so that two that add at the same time cannot lock each other out.
    let mut named: Vec<(String, i64)> = counts.iter().map(|(outcome, n)| (outcome.name(), *n as i64)).collect();
    named.sort_unstable();
    let (outcomes, numbers): (Vec<String>, Vec<i64>) = named.into_iter().unzip();
    let (outcomes, numbers) = (&outcomes, &numbers);
    let add = connections.ask("add_not_stored", |client| async move {
        let add = client
            .prepare_cached(
                "insert into analytics_not_stored (site, day, outcome, n)
                 select $1, $2, outcome, n from unnest($3::text[], $4::bigint[]) new (outcome, n)
                 on conflict (site, day, outcome) do update set n = analytics_not_stored.n + excluded.n",
            )
            .await?;
        client.execute(&add, &[&site.as_str(), &day, outcomes, numbers]).await
    });
    add.await.map(drop)
}

pub(super) async fn read(connections: &Connections, site: &Site, days: Range<Day>) -> Result<Counts> {
    let days = &days;
    let sums: Vec<(String, i64)> = connections
        .ask("not_stored", |client| async move {
            let sums = client
                .prepare_cached(
                    "select outcome, sum(n)::bigint from analytics_not_stored
                     where site = $1 and day >= $2 and day < $3 group by outcome",
                )
                .await?;
            let rows = client.query(&sums, &[&site.as_str(), &days.start, &days.end]).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
        })
        .await?;
    Ok(sums.into_iter().filter_map(|(name, n)| Some((NotStored::from_name(&name)?, count(n)))).collect())
}

pub(super) async fn delete(connections: &Connections, before: Day) -> Result<()> {
    let delete = connections.ask("delete_not_stored", |client| async move {
        client.execute("delete from analytics_not_stored where day < $1", &[&before]).await
    });
    delete.await.map(drop)
}
