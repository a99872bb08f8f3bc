//! Destroyed secrets are gone from the table's file, even while snapshots are open.

use common::store::conformance::samples::at;
use common::store::{Keep as _, Secret, SecretName, StoreError};
use common::time::{DAY, Timestamp};
use tokio_postgres::{Client, NoTls};

use crate::servers::{Databases, PATIENT};

fn now() -> Timestamp {
    at("2026-03-10T02:00:00Z")
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Whether bytes stand anywhere in the table's file as it is now.
async fn stands_in_file(client: &Client, bytes: &[u8]) -> bool {
    client.batch_execute("checkpoint").await.unwrap();
    let file = "select position($1::bytea in pg_read_binary_file(pg_relation_filepath('analytics_secrets')))";
    client.query_one(file, &[&bytes]).await.unwrap().get::<_, i32>(0) > 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destroyed_secrets_leave_the_file() {
    let Some(databases) = Databases::fresh().await else { return };
    let store = databases.open(PATIENT).await;
    let [old, kept] = [[0xA7; 32], [0x5C; 32]];
    let until = |bytes, expires| Secret { bytes, expires };
    let salt = SecretName::Salt(now().day());
    store.secret(salt, until(old, Some(now())), now().plus(-DAY)).await.unwrap();
    store.secret(SecretName::Pseudonyms, until(kept, None), now()).await.unwrap();
    let [watcher, mut reader] = [connect(&databases.postgres).await, connect(&databases.postgres).await];
    assert!(stands_in_file(&watcher, &old).await);

    // A dump holds a lock on every table.
    let dump = reader.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).start();
    let dump = dump.await.unwrap();
    dump.query("select from analytics_secrets", &[]).await.unwrap();
    let refused = store.destroy_secrets(now()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert!(stands_in_file(&watcher, &old).await, "the lock keeps it");
    dump.rollback().await.unwrap();

    // Another query holds a snapshot from before, and no lock.
    let snapshot = reader.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).start();
    let snapshot = snapshot.await.unwrap();
    snapshot.query("select from analytics_sites", &[]).await.unwrap();
    let another = databases.open(PATIENT).await;
    assert_eq!(another.destroy_secrets(now()).await.unwrap(), 0, "it was deleted before");
    assert!(!stands_in_file(&watcher, &old).await, "and is gone from the file now");
    snapshot.rollback().await.unwrap();

    // As a snapshot from before the deletion.
    store.secret(salt, until(old, Some(now().plus(1))), now()).await.unwrap();
    let snapshot = reader.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).start();
    let snapshot = snapshot.await.unwrap();
    snapshot.query("select from analytics_sites", &[]).await.unwrap();
    assert_eq!(store.destroy_secrets(now().plus(1)).await.unwrap(), 1);
    assert!(!stands_in_file(&watcher, &old).await);
    snapshot.rollback().await.unwrap();
    let again = store.secret(SecretName::Pseudonyms, until(old, None), now()).await.unwrap();
    assert_eq!(again.bytes, kept, "others are kept");
}
