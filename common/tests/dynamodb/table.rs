//! A table of a test's own, and what only a test does to it.

#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "for tests: a panic is a finding")]

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveSpecification};
use common::config::DynamoDbUrl;
use common::metrics::Metrics;
use common::store::dynamodb::DynamoDb;
use common::store::dynamodb::table::{PARTITION_KEY, SORT_KEY, TIME_TO_LIVE, create_table};

/// A table of one test.
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    endpoint: Option<String>,
}

/// An item.
#[derive(Debug, Clone)]
pub(crate) struct Item(pub(crate) HashMap<String, AttributeValue>);

impl Item {
    pub(crate) fn pk(&self) -> &str {
        self.0[PARTITION_KEY].as_s().unwrap()
    }

    pub(crate) fn sk(&self) -> &str {
        self.0[SORT_KEY].as_s().unwrap()
    }

    pub(crate) fn ttl(&self) -> Option<i64> {
        self.0.get(TIME_TO_LIVE)?.as_n().ok()?.parse().ok()
    }

    fn key(&self) -> HashMap<String, AttributeValue> {
        self.0
            .iter()
            .filter(|(name, _)| [PARTITION_KEY, SORT_KEY].contains(&name.as_str()))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect()
    }
}

#[allow(clippy::disallowed_methods, reason = "tests read their own variables")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn url(table: &str, endpoint: Option<&str>) -> DynamoDbUrl {
    let query = endpoint.map(|endpoint| format!("?endpoint={endpoint}")).unwrap_or_default();
    DynamoDbUrl::parse(&format!("{table}{query}")).unwrap()
}

impl Table {
    /// A new one; none when no service is named, which is an error in CI.
    pub(crate) async fn fresh() -> Option<Self> {
        let Some(endpoint) = variable("ANALYTICS_TEST_DYNAMODB") else {
            assert!(variable("CI").is_none(), "ANALYTICS_TEST_DYNAMODB names no service");
            println!("skipped: ANALYTICS_TEST_DYNAMODB names no service");
            return None;
        };
        let endpoint = Some(endpoint).filter(|endpoint| endpoint != "aws");
        let name = format!("test-{}", uuid::Uuid::new_v4().simple());
        let client = common::store::dynamodb::client(&url(&name, endpoint.as_deref())).await.unwrap();
        let table = Self { client, name, endpoint };
        create_table(&table.client, &table.name).await.unwrap();
        // What the suite stores lies in the past, and must stay nevertheless.
        let never = TimeToLiveSpecification::builder().attribute_name(TIME_TO_LIVE).enabled(false).build().unwrap();
        let off = table.client.update_time_to_live().table_name(&table.name).time_to_live_specification(never);
        off.send().await.unwrap();
        Some(table)
    }

    /// The endpoint.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// A store on it.
    pub(crate) async fn open(&self) -> DynamoDb {
        self.open_through(self.endpoint.as_deref()).await
    }

    /// A store on it through another endpoint.
    pub(crate) async fn open_through(&self, endpoint: Option<&str>) -> DynamoDb {
        self.open_with(endpoint, Arc::new(Metrics::new().unwrap())).await
    }

    /// A store on it through an endpoint, with these metrics.
    pub(crate) async fn open_with(&self, endpoint: Option<&str>, metrics: Arc<Metrics>) -> DynamoDb {
        DynamoDb::open(&url(&self.name, endpoint), 90, metrics).await.unwrap()
    }

    /// Everything in it.
    pub(crate) async fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let scan = self.client.scan().table_name(&self.name).consistent_read(true);
            let page = scan.set_exclusive_start_key(start).send().await.unwrap();
            items.extend(page.items.unwrap_or_default().into_iter().map(Item));
            start = page.last_evaluated_key;
            if start.is_none() {
                return items;
            }
        }
    }

    /// Adds to a number.
    pub(crate) async fn add(&self, item: &Item, name: &str, n: i64) {
        let update = self.client.update_item().table_name(&self.name).set_key(Some(item.key()));
        let update = update.update_expression("add #n :n").expression_attribute_names("#n", name);
        update.expression_attribute_values(":n", AttributeValue::N(n.to_string())).send().await.unwrap();
    }

    /// Puts the same under another sort key.
    pub(crate) async fn copy(&self, item: &Item, sk: &str) {
        let mut copy = item.0.clone();
        copy.insert(SORT_KEY.to_owned(), AttributeValue::S(sk.to_owned()));
        self.client.put_item().table_name(&self.name).set_item(Some(copy)).send().await.unwrap();
    }

    /// Puts an item of these attributes under this key.
    pub(crate) async fn put(&self, pk: &str, sk: &str, attributes: &[(&str, AttributeValue)]) {
        let key = [(PARTITION_KEY, pk), (SORT_KEY, sk)].map(|(name, key)| (name, AttributeValue::S(key.to_owned())));
        let item = key.into_iter().chain(attributes.iter().cloned());
        let item = item.map(|(name, value)| (name.to_owned(), value)).collect();
        self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await.unwrap();
    }

    /// Deletes an item.
    pub(crate) async fn delete(&self, item: &Item) {
        self.client.delete_item().table_name(&self.name).set_key(Some(item.key())).send().await.unwrap();
    }
}
