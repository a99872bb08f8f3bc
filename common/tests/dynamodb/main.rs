//! The conformance suite on DynamoDB. `ANALYTICS_TEST_DYNAMODB` names an emulator's endpoint,
//! or `aws` for the real service; each case has a table of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod costs;
mod faults;
mod legacy;
mod limits;
mod proxy;
mod table;

use async_trait::async_trait;
use common::store::Store;
use common::store::conformance::Fixture;
use common::store::dynamodb::DynamoDb;

use self::table::Table;

struct Own {
    store: DynamoDb,
    table: Table,
}

/// Nothing when there is no service.
async fn fresh() -> Option<Own> {
    let table = Table::fresh().await?;
    Some(Own { store: table.open().await, table })
}

#[async_trait]
impl Fixture for Own {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn another(&self) -> Box<dyn Store> {
        Box::new(self.table.open().await)
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = self.table.open().await;
    }

    async fn corrupt(&self) {
        for item in self.table.items().await {
            let kind = item.pk().split('#').next().unwrap().to_owned();
            match &*kind {
                "t" => {
                    self.table.add(&item, "n", 1).await;
                    self.table.add(&item, "e0", 7).await;
                }
                "u" => self.table.delete(&item).await,
                _ => {}
            }
        }
    }
}

common::store_conformance!(fresh);
