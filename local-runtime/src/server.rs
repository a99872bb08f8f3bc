//! Accepts connections until told to stop, then lets everything under way come to its end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use common::App;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Phase};
use crate::live::Timing;
use crate::router::router;
use crate::services::Services;
use crate::static_files::{self, StaticDirError};

/// How long to wait when the system has no more connections to give.
const OUT_OF_CONNECTIONS: Duration = Duration::from_millis(100);

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

/// Serves until `shutdown` ends. Then no more connections are accepted, requests in flight
/// are answered, clients of the live feed are sent away with 1001, page views are stored, all
/// within the configured time; what takes longer is cut off. Last, the store is closed.
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
    let services = Arc::new(Services::start(app.clone(), timing));
    let router = router(&services, root);
    let connections = TaskTracker::new();
    let (phase, _) = watch::channel(Phase::Serving);
    tokio::select! {
        () = shutdown => {}
        () = accept(&listener, &router, &connections, &phase) => {}
    }
    drop(listener);

    tracing::info!(connections = connections.len(), "draining");
    services.stop.cancel();
    phase.send_replace(Phase::Draining);
    connections.close();
    let drained = async { tokio::join!(connections.wait(), services.drain()) };
    if timeout(patience, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "not everything came to its end in time");
    }
    phase.send_replace(Phase::Over);
    app.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Accepts for ever.
async fn accept(listener: &TcpListener, router: &Router, connections: &TaskTracker, phase: &watch::Sender<Phase>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                prepare(&stream);
                connections.spawn(connection::serve(stream, peer, router.clone(), phase.subscribe()));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(OUT_OF_CONNECTIONS).await;
            }
        }
    }
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
