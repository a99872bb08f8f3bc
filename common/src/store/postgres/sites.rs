//! The sites that are known, at most [`Site::MOST`] but for those that were admitted.
//!
//! Numbers come from a sequence and are not used again, so what still stands under the number of a
//! removed site is never another site's. A writer that remembers such a number finds no row to lock,
//! forgets what it knows, and looks the name up anew.

use tokio_postgres::Client;
use tokio_postgres::error::Error;

use super::append::ConnectionCache;
use super::connection::Connections;
use super::feed::query;
use super::keep;
use crate::site::Site;
use crate::store::Result;

/// Serialises the making and removing of sites; released with the transaction.
pub(super) const LOCK: &str = "select pg_advisory_xact_lock(hashtextextended('maicivy-analytics/sites', 0))";

/// The position after which a new site's events begin: after those of all removed sites, so that the
/// positions of a site that was removed and comes back go on.
const START: &str = "coalesce((select value from analytics_meta where name = 'removed_position'), 0)";

/// All sites, by name.
pub(super) async fn sites(connections: &Connections) -> Result<Vec<Site>> {
    connections
        .ask("sites", |client| async move {
            let rows = query(&client, "select name from analytics_sites order by name", &[]).await?;
            let names = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<&str>, Error>>()?;
            Ok(names.into_iter().filter_map(Site::parse).collect())
        })
        .await
}

/// Makes these sites known, however many there are.
pub(super) async fn admit(connections: &Connections, names: &[&str]) -> Result<()> {
    let mut client = connections.own().await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute(LOCK).await?;
    let put = format!(
        "insert into analytics_sites (name, position) select name, {START} from unnest($1::text[]) name
         on conflict do nothing"
    );
    transaction.execute(&put, &[&names]).await?;
    // An import admits its sites last: answers change with its summaries.
    keep::note_change(transaction.client()).await?;
    Ok(transaction.commit().await?)
}

/// Finds the sites' numbers, and makes those sites that are not there, as long as there are
/// fewer than [`Site::MOST`].
pub(super) async fn find_or_make(
    client: &mut Client,
    cache: &mut ConnectionCache,
    names: &[&str],
) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(LOCK).await?;
    transaction
        .execute(
            &format!(
                "insert into analytics_sites (name, position)
                 select q.name, {START} from unnest($1::text[]) with ordinality as q (name, at)
                 where not exists (select from analytics_sites s where s.name = q.name)
                 order by q.at limit greatest(0, $2 - (select count(*) from analytics_sites))
                 on conflict do nothing"
            ),
            &[&names, &(Site::MOST as i64)],
        )
        .await?;
    // Once there is no room for more, all of them, so that none has to be asked for again.
    let rows = transaction
        .query(
            "select name, id, (select count(*) from analytics_sites) >= $2 from analytics_sites
             where name = any($1) or (select count(*) from analytics_sites) >= $2",
            &[&names, &(Site::MOST as i64)],
        )
        .await?;
    transaction.commit().await?;
    let is_full = rows.first().map_or(Ok(false), |row| row.try_get(2))?;
    let rows = rows.iter().map(|row| Ok((Site::parse(row.try_get(0)?), row.try_get(1)?)));
    let found = rows.collect::<Result<Vec<_>, Error>>()?;
    cache.learn_sites(found.into_iter().filter_map(|(site, id)| Some((site?, id))), is_full);
    Ok(())
}

/// Removes a site of which neither events nor visitors are kept, with its totals.
pub(super) async fn remove(connections: &Connections, site: &Site) -> Result<bool> {
    let mut client = connections.own().await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute(LOCK).await?;
    // Appends hold this lock until they are committed, and later ones wait for it. What they commit is
    // seen by the next statement.
    let locked = "select id from analytics_sites where name = $1 for update";
    let Some(row) = transaction.query_opt(locked, &[&site.as_str()]).await? else { return Ok(false) };
    let id: i32 = row.try_get(0)?;
    let removed = transaction
        .query_opt(
            "delete from analytics_sites s where id = $1
                 and not exists (select from analytics_events where site = s.id)
                 and not exists (select from analytics_visitors where site = s.id)
             returning position",
            &[&id],
        )
        .await?;
    let Some(row) = removed else { return Ok(false) };
    let position: i64 = row.try_get(0)?;
    transaction.execute("delete from analytics_totals where site = $1", &[&id]).await?;
    let note = "insert into analytics_meta (name, value) values ('removed_position', $1)
        on conflict (name) do update set value = greatest(analytics_meta.value, excluded.value)";
    transaction.execute(note, &[&position]).await?;
    keep::note_change(transaction.client()).await?;
    transaction.commit().await?;
    Ok(true)
}
