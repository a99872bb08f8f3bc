//! Brings the schema up to date; of processes that start at once, one does it.

use tokio_postgres::Client;

use super::ENGINE;
use crate::store::{Result, StoreError};

mod embedded {
    refinery::embed_migrations!("src/store/postgres/migrations");
}

/// Names the lock that migrating processes hold. Locks of this kind belong to a database, and
/// the lock is let go with the connection at the latest.
const LOCK: &str = "maicivy-analytics/migrate";
/// What was applied.
const TABLE: &str = "analytics_migrations";

/// Applies what is missing. Migrations that are not known here are those of a newer release,
/// which keeps this one working (see `migrations/README.md`).
pub(super) async fn migrate(client: &mut Client) -> Result<()> {
    // Others may be at it for as long as a migration takes.
    client.batch_execute("set statement_timeout = '10min'; set lock_timeout = '10min'").await?;
    client.execute("select pg_advisory_lock(hashtextextended($1, 0))", &[&LOCK]).await?;
    let mut runner = embedded::migrations::runner().set_abort_missing(false);
    runner.set_migration_table_name(TABLE);
    runner.run_async(client).await.map_err(|error| StoreError::Other { engine: ENGINE, source: error.into() })?;
    client.execute("select pg_advisory_unlock(hashtextextended($1, 0))", &[&LOCK]).await?;
    Ok(())
}

/// Whether the tables are there, of whatever version.
pub(super) async fn has_tables(client: &Client) -> Result<bool> {
    Ok(client.query_one("select to_regclass('analytics_events') is not null", &[]).await?.try_get(0)?)
}
