//! The conformance suite on the embedded engine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use common::metrics::Metrics;
use common::store::Store;
use common::store::conformance::Fixture;
use common::store::sqlite::Sqlite;
use tempfile::TempDir;

struct File {
    folder: TempDir,
    store: Sqlite,
}

impl File {
    fn path(folder: &TempDir) -> PathBuf {
        folder.path().join("new folder").join("analytics.db")
    }
}

async fn open(path: PathBuf) -> Sqlite {
    Sqlite::open(&path, Arc::new(Metrics::new().unwrap())).await.unwrap()
}

async fn fresh() -> Option<File> {
    let folder = tempfile::tempdir().unwrap();
    let store = open(File::path(&folder)).await;
    Some(File { folder, store })
}

#[async_trait]
impl Fixture for File {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = open(Self::path(&self.folder)).await;
    }

    async fn corrupt(&self) {
        let connection = rusqlite::Connection::open(Self::path(&self.folder)).unwrap();
        connection
            .execute_batch(
                "update counters set n = n + 1 where dimension = 0;
                 delete from counters where dimension = 2;
                 insert into counters select site, bucket, 1, 'invented', 7 from counters where dimension = 0;
                 update clicks set n = n + 5;
                 delete from visitors;
                 delete from presence;",
            )
            .unwrap();
    }
}

common::store_conformance!(fresh);
