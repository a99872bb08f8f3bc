//! The conformance suite on PostgreSQL and Redis: `ANALYTICS_TEST_POSTGRES` and
//! `ANALYTICS_TEST_REDIS` name servers to make databases on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "postgres/deadline.rs"]
mod deadline;
#[path = "postgres/faults.rs"]
mod faults;
#[path = "postgres/pool.rs"]
mod pool;
#[path = "postgres/retention.rs"]
mod retention;
#[path = "postgres/schema.rs"]
mod schema;
#[path = "postgres/secrets.rs"]
mod secrets;
mod servers;

use async_trait::async_trait;
use common::store::Store;
use common::store::conformance::Fixture;
use common::store::postgres::Postgres;
use common::testing::redis::RedisServer;

use self::servers::{Databases, PATIENT, redis, sql};

struct Both {
    store: Postgres,
    databases: Databases,
    /// The Redis, if it is not shared with other tests.
    _redis: Option<RedisServer>,
}

/// Nothing when there are no servers.
async fn fresh() -> Option<Both> {
    let databases = Databases::fresh().await?;
    Some(Both { store: databases.open(PATIENT).await, databases, _redis: None })
}

#[async_trait]
impl Fixture for Both {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn another(&self) -> Box<dyn Store> {
        Box::new(self.databases.open(PATIENT).await)
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = self.databases.open(PATIENT).await;
    }

    async fn corrupt(&self) {
        sql(
            &self.databases.postgres,
            "update analytics_totals set events = events + 1;
             update analytics_totals set visitors = visitors + 1 where bucket & 3 = 1;
             delete from analytics_totals where bucket in (select min(bucket) from analytics_totals);
             insert into analytics_totals select site, 99 + max(bucket), 7, 0, 0, 0, 0, 0 from analytics_totals group by site;
             update analytics_visitors set days = days # 1",
        )
        .await;
    }

    async fn disturb(&self, way: u8) {
        self.databases.disturb(way).await;
    }
}

common::store_conformance!(fresh);

/// The same on a Redis that takes no command whose keys are of several slots.
mod cluster {
    use std::net::{Ipv4Addr, TcpListener};

    use common::testing::redis::RedisServer;

    use super::Both;
    use super::servers::{Databases, PATIENT};

    /// A cluster of one node that has all slots.
    async fn fresh() -> Option<Both> {
        let mut databases = Databases::fresh().await?;
        // What it would take by itself may be no port at all.
        let bus = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let redis = RedisServer::start(&["--cluster-enabled", "yes", "--cluster-port", &bus.to_string()]).await?;
        redis.command::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
        while !redis.command::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let across: Result<String, _> = {
            let mut set = ::redis::cmd("MSET");
            let mut connection = super::redis(&redis.url()).await;
            set.arg(&["a", "1", "b", "2"]).query_async(&mut connection).await
        };
        assert_eq!(across.unwrap_err().code(), Some("CROSSSLOT"), "it is a cluster");
        databases.redis = format!("{}/0", redis.url());
        Some(Both { store: databases.open(PATIENT).await, databases, _redis: Some(redis) })
    }

    common::store_conformance!(fresh);
}
