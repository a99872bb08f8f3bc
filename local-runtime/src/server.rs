//! Accepts connections until shutdown begins, then waits for the requests under way.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use common::App;
use common::http::{Network, may_be_proxy};
use rustix::process::{Resource, Rlimit};
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::address::AddressKeys;
use crate::admission::{Admission, Place};
use crate::connection::{self, Phase};
use crate::live::Timing;
use crate::router::router;
use crate::services::Services;
use crate::static_files::{self, StaticDirError};

/// How long to wait when the system has no more connections to give.
const OUT_OF_CONNECTIONS: Duration = Duration::from_millis(100);

/// How long connections that are being established when the server stops may take to be.
const LAST_CONNECTIONS: Duration = Duration::from_millis(50);

/// How many connections one address may have open, where it cannot be a proxy: those of a large
/// network behind one address, and no more.
const MOST_OF_ADDRESS: usize = 512;
/// How many files a process needs to have open at most.
const OPEN_FILES: u64 = 16_384;
/// How many of them are no connections of clients.
const OTHER_FILES: u64 = 192;

/// What is served besides the product itself.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A site of the user's own, whose page views are tracked.
    pub static_dir: Option<PathBuf>,
}

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The folder of the user's own site cannot be served.
    #[error(transparent)]
    StaticDir(#[from] StaticDirError),
}

/// Serves until `shutdown` ends. Then the server is not ready any more, clients of the live feed are
/// sent away with 1012, and each connection ends after its next answer. After the configured delay
/// no more connections are accepted; those that are already established are served once more.
/// Requests in flight are answered and page views stored within the configured time; what takes
/// longer is cut off. Last, the store is closed.
///
/// # Errors
/// When it cannot begin; the store is closed then, too.
pub async fn run(
    app: App,
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    run_in_time(app, listener, options, Timing::default(), shutdown).await
}

/// The same, with a live feed that is in more or less of a hurry.
pub(crate) async fn run_in_time(
    app: App,
    listener: TcpListener,
    options: Options,
    timing: Timing,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let root = options.static_dir.map(|dir| static_files::root(&dir, &app.config.store)).transpose();
    let root = match root {
        Ok(root) => root,
        Err(error) => {
            app.store.close().await;
            return Err(error.into());
        }
    };
    let patience = Duration::from_secs(app.config.shutdown_seconds);
    let delay = Duration::from_secs(app.config.shutdown_delay);
    let services = Arc::new(Services::start(app.clone(), timing));
    let router = router(&services, root);
    let connections = TaskTracker::new();
    let (phase, _) = watch::channel(Phase::Serving);
    let admission = Arc::new(Admission::new(most_connections(), MOST_OF_ADDRESS, app.metrics.connections.clone()));
    let door = Door { app: &app, admission, keys: AddressKeys::default() };
    tokio::select! {
        () = shutdown => {}
        () = accept(&listener, &door, &router, &connections, &phase) => {}
    }
    services.stop.cancel();
    phase.send_replace(Phase::Leaving);
    let still_accepting = accept(&listener, &door, &router, &connections, &phase);
    let _ = timeout(delay, still_accepting).await;
    // A connection that waits to be accepted would be reset, with the request on it.
    close_queue(&listener);
    let _ = timeout(LAST_CONNECTIONS, accept(&listener, &door, &router, &connections, &phase)).await;
    drop(listener);

    tracing::info!(connections = connections.len(), "draining");
    phase.send_replace(Phase::Draining);
    connections.close();
    let drained = async {
        tokio::join!(connections.wait(), services.drain());
        app.count_not_stored().await;
    };
    if timeout(patience, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "not everything came to its end in time");
    }
    phase.send_replace(Phase::Over);
    app.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Which connections are let in.
struct Door<'a> {
    app: &'a App,
    admission: Arc<Admission>,
    keys: AddressKeys,
}

impl Door<'_> {
    fn admit(&self, peer: SocketAddr) -> Option<Place> {
        // One address of a private network or of a trusted proxy stands for many clients.
        let address = may_be_proxy(peer.ip(), &self.app.config);
        let key = (!address).then(|| self.keys.keys(Network::new(Some(peer.ip()))));
        let place = self.admission.admit(key);
        if place.is_none() {
            self.app.metrics.connections_refused_total.inc();
            tracing::debug!("a connection was closed at once: there are too many");
        }
        place
    }
}

/// How many connections may be open: as many as the system lets a process have open files, after that
/// limit was raised, less what the store and other files need.
fn most_connections() -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum.map(|most| most.min(OPEN_FILES)).or(Some(OPEN_FILES)), ..limit };
    if limit.current.is_some_and(|now| raised.current.is_some_and(|raised| now < raised))
        && let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    let files = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(OPEN_FILES).min(OPEN_FILES);
    usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(1)
}

/// Accepts for ever.
async fn accept(
    listener: &TcpListener,
    door: &Door<'_>,
    router: &Router,
    connections: &TaskTracker,
    phase: &watch::Sender<Phase>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(place) = door.admit(peer) else { continue };
                prepare(&stream);
                let served = connection::serve(stream, peer, router.clone(), phase.subscribe());
                connections.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(OUT_OF_CONNECTIONS).await;
            }
        }
    }
}

/// Drops attempts to connect, so that the queue of established connections can be emptied before the
/// listener is closed. The clients' systems try again after a second, and are refused then: a proxy
/// takes its next server. Where the system cannot do it, the last connections may be reset.
fn close_queue(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    {
        // A classic BPF program, which sees a segment from its TCP header on: without effect on what
        // has connected, whose segments carry an ACK.
        let only_established = [
            SockFilter::new(0x30, 0, 0, 13),       // load the flags
            SockFilter::new(0x54, 0, 0, 0x12),     // of them SYN and ACK
            SockFilter::new(0x15, 0, 1, 0x02),     // a SYN alone?
            SockFilter::new(0x06, 0, 0, 0),        // drop it
            SockFilter::new(0x06, 0, 0, u32::MAX), // pass on anything else
        ];
        if let Err(error) = SockRef::from(listener).attach_filter(&only_established) {
            tracing::debug!(%error, "attempts to connect cannot be dropped");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = listener;
}

/// Answers are small and whole: waiting for more to send only makes them late.
fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests;
