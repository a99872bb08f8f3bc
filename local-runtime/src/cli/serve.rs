//! `serve`: binds, prints the address, and runs until a signal stops it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use common::access::ReadAuth;
use common::app::Life;
use common::config::{Config, LogFormat};
use common::http::BASE_PATH;
use tokio::net::TcpListener;

use super::{Failure, open, say};
use crate::{Options, static_files};

/// Serves until SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
/// When the address cannot be had, the store cannot be opened, or the folder cannot be served.
pub(super) async fn run(config: Config, static_dir: Option<PathBuf>) -> Result<(), Failure> {
    if let Some(dir) = &static_dir {
        static_files::root(dir, &config.store).map_err(|error| Failure::Usage(format!("--static-dir: {error}")))?;
    }
    let addr = config.addr;
    let listener = TcpListener::bind(addr).await.map_err(|error| cannot_listen(addr, &error))?;
    let address = listener.local_addr().map_err(|error| cannot_listen(addr, &error))?;
    let stop = stop().map_err(|error| Failure::Failed(format!("cannot wait for signals: {error}")))?;
    let for_people = config.log == LogFormat::Text;
    if config.read_auth == ReadAuth::Open && !address.ip().is_loopback() {
        tracing::info!("figures are open to all that reach this address; ANALYTICS_READ_AUTH=token closes them");
    }
    let app = open(Life::Process, config).await?;
    say(format_args!("listening on http://{address}"));
    if for_people {
        let dashboard = if static_dir.is_some() { "/dashboard" } else { "/" };
        say(where_to_look(reachable(address), dashboard));
    }
    // systemd waits for it, where it has started the process, before it says that this one is started.
    #[cfg(unix)]
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "cannot notify systemd that the server is ready");
    }
    crate::run(app, listener, Options { static_dir }, stop)
        .await
        .map_err(|error| Failure::Failed(format!("serving failed: {error}")))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Failure {
    Failure::Failed(match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{address} is in use by another process; ANALYTICS_ADDR chooses another address")
        }
        _ => format!("cannot listen on {address}: {error}; ANALYTICS_ADDR chooses another address"),
    })
}

/// The address at which a server that listens on `address` can be reached from this machine.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// With a visitor's id, because curl by itself is a bot.
fn where_to_look(address: SocketAddr, dashboard: &str) -> String {
    let event = r#"{"event_type":"page_view","page_url":"/cv?theme=backend","visitor_id":"3f2504e0-4f89-41d3-9a0c-0305e82c3301"}"#;
    format!(
        "  dashboard  http://{address}{dashboard}\n  \
           endpoints  http://{address}/openapi.json\n  \
           metrics    http://{address}/metrics\n  \
           try        curl http://{address}{BASE_PATH}/event -d '{event}'"
    )
}

/// Resolves at the first signal that asks the process to stop, and from then on ends it at
/// once at the second.
#[cfg(unix)]
fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping; a second signal stops at once");
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            std::process::exit(1);
        });
    })
}

/// Resolves at Ctrl-C.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "the signature is that of the other systems")]
fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_is_reached_at_the_loopback() {
        for (listening, reached) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("192.0.2.1:80", "192.0.2.1:80")]
        {
            assert_eq!(reachable(listening.parse().unwrap()).to_string(), reached);
        }
    }
}
