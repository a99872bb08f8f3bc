//! What an operator sees of the connections.

use std::sync::Arc;
use std::time::Duration;

use common::metrics::Metrics;
use common::store::postgres::{Options, Postgres};
use common::store::roles::*;
use tokio::task::JoinSet;

use crate::servers::Databases;
use crate::servers::wire::Wire;

/// Waits until the metrics say so.
async fn shows(metrics: &Metrics, in_use: usize, waiting: usize) {
    let lines = [("in_use", in_use), ("waiting", waiting)]
        .map(|(state, n)| format!("maicivy_database_connections{{state=\"{state}\"}} {n}\n"));
    let shown = async {
        while !lines.iter().all(|line| metrics.text().unwrap().contains(line)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let shown = tokio::time::timeout(Duration::from_secs(30), shown).await;
    assert!(shown.is_ok(), "not {lines:?} but {}", metrics.text().unwrap());
}

/// All connections are busy with questions that PostgreSQL does not answer, and more have to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_and_who_waits_for_them_are_shown() {
    let Some(databases) = Databases::fresh().await else { return };
    let wire = Wire::before(&databases.postgres).await;
    let metrics = Arc::new(Metrics::new().unwrap());
    let options = Options { background: false, pool: 2, ..Options::PROCESS };
    let opened = Postgres::open(&wire.url, &databases.redis, options, Arc::clone(&metrics));
    let store = Arc::new(opened.await.unwrap());
    shows(&metrics, 0, 0).await;
    wire.hold("");
    let mut questions = JoinSet::new();
    for _ in 0..5 {
        let store = Arc::clone(&store);
        questions.spawn(async move { store.sites().await });
    }
    shows(&metrics, 2, 3).await;
    wire.release();
    while questions.join_next().await.is_some() {}
    shows(&metrics, 0, 0).await;
    store.close().await;
}
