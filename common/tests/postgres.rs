//! The conformance suite on PostgreSQL and Redis: `ANALYTICS_TEST_POSTGRES` and
//! `ANALYTICS_TEST_REDIS` name servers to make databases on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "postgres/deadline.rs"]
mod deadline;
#[path = "postgres/faults.rs"]
mod faults;
#[path = "postgres/races.rs"]
mod races;
#[path = "postgres/schema.rs"]
mod schema;
mod servers;

use async_trait::async_trait;
use common::store::Store;
use common::store::conformance::Fixture;
use common::store::postgres::{Options, Postgres};

use self::servers::{Databases, redis, sql};

struct Both {
    store: Postgres,
    databases: Databases,
}

/// Nothing when there are no servers.
async fn fresh() -> Option<Both> {
    let databases = Databases::fresh().await?;
    Some(Both { store: databases.open(Options::PROCESS).await, databases })
}

#[async_trait]
impl Fixture for Both {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = self.databases.open(Options::PROCESS).await;
    }

    async fn corrupt(&self) {
        sql(
            &self.databases.postgres,
            "update analytics_counters set n = n + 1 where dimension = 0;
             delete from analytics_counters where dimension = 2;
             insert into analytics_counters select site, day, 1, 'invented', 7 from analytics_counters where dimension = 0;
             update analytics_clicks set n = n + 5;",
        )
        .await;
        let mut redis = redis(&self.databases.redis).await;
        let keys: Vec<String> = ::redis::cmd("KEYS").arg("analytics:*").query_async(&mut redis).await.unwrap();
        for key in keys {
            if key.ends_with(":total_events") {
                let () = ::redis::cmd("INCRBY").arg(&key).arg(3).query_async(&mut redis).await.unwrap();
            }
            if key.contains(":visitors:unique:") || key.ends_with(":realtime:visitors") {
                let () = ::redis::cmd("DEL").arg(&key).query_async(&mut redis).await.unwrap();
            }
        }
    }

    async fn disturb(&self, way: u8) {
        self.databases.disturb(way).await;
    }
}

common::store_conformance!(fresh);
