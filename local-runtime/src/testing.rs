//! What tests of this crate share: a real store in a folder of its own, a real server.

use std::net::SocketAddr;
use std::sync::Arc;

use common::App;
use common::config::Config;
use common::event::{Event, EventData};
use common::event_type::EventType;
use common::measure::facts::Facts;
use common::site::Site;
use common::source::Source;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::live::Timing;
use crate::server::run_in_time;
use crate::{Options, RunError};

/// An app with these variables, over an empty store that lives as long as the folder.
pub(crate) async fn app_with(vars: &[(&str, &str)], source: Arc<dyn Source>) -> (App, TempDir) {
    let files = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", files.path().join("analytics.db").display());
    let vars = vars.iter().copied().chain([("ANALYTICS_STORE", &*store)]);
    let config = Config::from_vars(vars.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
    (App::open(config, source).await.unwrap(), files)
}

/// Appends page views of one visitor, one commit each, and waits until they are in the store's
/// feed; answers their ids.
pub(crate) async fn append(app: &App, site: &str, events: usize) -> Vec<Uuid> {
    let now = app.now();
    let mut feed = app.store.subscribe();
    let mut ids = Vec::new();
    for _ in 0..events {
        let event = Event {
            id: app.source.event_id(now),
            site: Site::parse(site).unwrap(),
            visitor: Uuid::from_u128(7).into(),
            event_type: EventType::PageView,
            data: EventData::EMPTY,
            page_url: None,
            referrer: None,
            created_at: now,
            facts: Facts::default(),
        };
        let id = event.id;
        app.store.append(vec![event], now).await.unwrap();
        while feed.recv().await.unwrap().committed().iter().all(|committed| committed.event.id != id) {}
        ids.push(id);
    }
    ids
}

/// A running server, stopped and drained by [`Server::stop`].
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), RunError>>,
}

impl Server {
    /// Serves the whole product on a free port.
    pub(crate) async fn start(app: &App, timing: Timing) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let running = run_in_time(app.clone(), listener, Options::default(), timing, shutdown);
        Self { address, stop, running: tokio::spawn(running) }
    }

    /// Stops it and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
    }

    /// Tells it to stop, and answers what waits for that.
    pub(crate) fn begin_to_stop(self) -> JoinHandle<Result<(), RunError>> {
        self.stop.send(()).unwrap();
        self.running
    }
}
