//! Whether the store answers and what room it has: for probes, and as gauges of `/metrics`.
//!
//! Probes and scrapes need no token, so that every client that reaches the server may send any number
//! of them: the store is asked at most once a second, and its answer serves them all.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::App;
use common::collect::error_text;
use common::config::StoreUrl;
use prometheus::IntGauge;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// For how long an answer holds.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// The store, as an operator sees it.
#[derive(Debug)]
pub(crate) struct StoreHealth {
    app: App,
    latest: Mutex<Option<(Instant, bool)>>,
    up: IntGauge,
    degraded: IntGauge,
    used: Option<IntGauge>,
    file: Option<FileGauges>,
}

impl StoreHealth {
    /// Registers the gauges; those of a file only where the store is one.
    pub(crate) fn new(app: &App) -> Self {
        let file = match &app.config.store {
            StoreUrl::Sqlite(path) => Some(FileGauges::new(app, path)),
            StoreUrl::Postgres(_) | StoreUrl::DynamoDb(_) => None,
        };
        let used = match &app.config.store {
            StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) => Some(used_bytes(app)),
            StoreUrl::DynamoDb(_) => None,
        };
        show(app, app.metrics.last_commit_timestamp_seconds.clone());
        if let Some(Err(error)) = app.config.sites.as_ref().map(|sites| app.metrics.show_sites(sites)) {
            tracing::error!(%error, "the sites cannot be counted one by one");
        }
        Self {
            app: app.clone(),
            latest: Mutex::new(None),
            up: gauge(app, "store_up", "1 if the store answered within a second when last asked, else 0"),
            degraded: gauge(app, "degraded", "1 while the store misses something that it can do without for a while"),
            used,
            file,
        }
    }

    /// Whether the store can take events and answer questions, as of a second ago at most.
    pub(crate) async fn answers(&self) -> bool {
        // Held while the store is asked: requests that come meanwhile share the answer.
        let mut latest = self.latest.lock().await;
        if let Some((at, answers)) = *latest
            && at.elapsed() < FRESH_FOR
        {
            return answers;
        }
        let engine = self.app.store.engine();
        let answers = match timeout(PATIENCE, self.app.store.check()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(error = error_text(&error), "not ready");
                false
            }
            Err(_) => {
                tracing::error!(engine, "not ready: the store does not answer");
                false
            }
        };
        *latest = Some((Instant::now(), answers));
        answers
    }

    /// Sets the gauges.
    pub(crate) async fn show(&self) {
        self.up.set(i64::from(self.answers().await));
        self.degraded.set(i64::from(!self.app.store.degraded().is_empty()));
        if let Some(used) = &self.used {
            used.set(signed(self.app.space.used(&*self.app.store, self.app.now()).await));
        }
        if let Some(file) = &self.file {
            file.show();
        }
    }
}

/// Shows how large the store may become; the gauge of how large it is.
fn used_bytes(app: &App) -> IntGauge {
    let limit = gauge(app, "store_limit_bytes", "ANALYTICS_MAX_STORE; 0 without a limit");
    limit.set(signed(app.space.limit().unwrap_or(0)));
    let used = "Size of the store as ANALYTICS_MAX_STORE counts it: without what deleted data left free";
    gauge(app, "store_used_bytes", used)
}

/// How large the database file is, and its disk.
#[derive(Debug)]
struct FileGauges {
    path: PathBuf,
    size: IntGauge,
    disk: IntGauge,
    free: IntGauge,
}

impl FileGauges {
    fn new(app: &App, path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            size: gauge(app, "store_size_bytes", "Size of the database file with its write-ahead log"),
            disk: gauge(app, "store_disk_size_bytes", "Size of the file system that the database file is on"),
            free: gauge(app, "store_disk_free_bytes", "Free space there that the process may use"),
        }
    }

    /// What cannot be read stays as it was: `maicivy_store_up` says that the file is gone.
    fn show(&self) {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        if let Ok(file) = fs::metadata(&self.path) {
            let log = fs::metadata(log).map_or(0, |log| log.len());
            self.size.set(signed(file.len().saturating_add(log)));
        }
        if let Ok(disk) = rustix::fs::statvfs(&self.path) {
            self.disk.set(signed(disk.f_blocks.saturating_mul(disk.f_frsize)));
            self.free.set(signed(disk.f_bavail.saturating_mul(disk.f_frsize)));
        }
    }
}

/// A gauge at 0, on `/metrics` from now on.
pub(crate) fn gauge(app: &App, name: &str, help: &str) -> IntGauge {
    // A name can be wrong only as it stands in the code.
    #[allow(clippy::unwrap_used, reason = "names are literals, which every start uses")]
    let gauge = IntGauge::new(format!("maicivy_{name}"), help).unwrap();
    show(app, gauge.clone());
    gauge
}

fn show(app: &App, gauge: IntGauge) {
    if let Err(error) = app.metrics.show(gauge) {
        tracing::error!(%error, "a gauge cannot be shown");
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
