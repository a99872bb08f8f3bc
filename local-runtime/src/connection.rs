//! One connection: HTTP/1.1 until the client leaves, or is too slow, or the server stops.

mod envelope;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_io_timeout::TimeoutStream;
use tower::Service;

use self::envelope::{Enveloped, Reading};

/// How long a new connection may take to send its first request's head.
const FIRST_HEAD: Duration = Duration::from_secs(10);
/// How long a connection may be idle, the head of the next request included: longer than
/// proxies keep theirs (nginx and ALB: 60 s), so that it is they who close.
const NEXT_HEAD: Duration = Duration::from_secs(75);
/// How long a new connection may take to send its request's head when the server stops: what a proxy
/// has just opened has its request under way.
const LAST_HEAD: Duration = Duration::from_secs(1);
/// How long a client may leave an answer unread before the connection is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may leave its last answer unread when the server stops.
const LAST_READ: Duration = Duration::from_secs(2);
/// The most bytes of a request's head, and of the buffer that bodies go through.
const MOST_BUFFERED: usize = 64 * 1024;

/// What the server wants of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Requests are welcome.
    Serving,
    /// The next answer is the last, and says so.
    Leaving,
    /// The request in flight is the last; connections without one are closed, unless they are new.
    Draining,
    /// Time is up.
    Over,
}

/// Serves one connection until its end.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, mut phase: watch::Receiver<Phase>) {
    let spoken = Arc::new(AtomicBool::new(false));
    let service = service_fn({
        let (spoken, phase) = (Arc::clone(&spoken), phase.clone());
        move |request| {
            spoken.store(true, Ordering::Relaxed);
            answer(router.clone(), peer, request, phase.clone())
        }
    });
    let reading = Arc::<Reading>::default();
    let stream = Enveloped::new(with_write_timeout(stream), Arc::clone(&reading));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_HEAD)
        .max_buf_size(MOST_BUFFERED)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut silence = pin!(tokio::time::sleep(FIRST_HEAD));
    let (mut silent, mut draining) = (true, false);
    loop {
        tokio::select! {
            biased;
            // An error here is the client's: it broke off, or spoke something else than HTTP.
            _ = &mut connection => return,
            changed = phase.changed() => match *phase.borrow_and_update() {
                Phase::Serving | Phase::Leaving if changed.is_ok() => {}
                Phase::Draining if changed.is_ok() => {
                    (silent, draining) = (true, true);
                    // A new one would be closed with its first request unread, which the client cannot send
                    // again without the risk that it was read.
                    let patience = if spoken.load(Ordering::Relaxed) {
                        connection.as_mut().graceful_shutdown();
                        LAST_READ
                    } else {
                        LAST_HEAD
                    };
                    silence.as_mut().reset(Instant::now() + patience);
                }
                _ => return,
            },
            () = &mut silence, if silent => {
                if !spoken.load(Ordering::Relaxed) || draining && reading.has_stopped() {
                    return;
                }
                silent = draining;
                silence.as_mut().reset(Instant::now() + LAST_READ);
            }
        }
    }
}

/// A stream whose writes fail when the client has read nothing for [`WRITE_TIMEOUT`].
fn with_write_timeout(stream: TcpStream) -> Pin<Box<TimeoutStream<TcpStream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    Box::pin(stream)
}

async fn answer(
    mut router: Router,
    peer: SocketAddr,
    request: Request<Incoming>,
    phase: watch::Receiver<Phase>,
) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut response = router.call(request).await?;
    if *phase.borrow() != Phase::Serving && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    /// More than the system's buffers hold.
    const LARGE: usize = 64 * 1024 * 1024;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    /// A client, and the server's end of its connection.
    async fn connected() -> (TcpStream, TcpStream, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        (client, stream, peer)
    }

    /// A client that has asked for what it never reads, how it is served, and whether it has asked.
    async fn served(phase: watch::Receiver<Phase>) -> (TcpStream, impl Future<Output = ()>, watch::Receiver<bool>) {
        let (mut client, stream, peer) = connected().await;
        client.write_all(REQUEST).await.unwrap();
        let (asked, is_asked) = watch::channel(false);
        let large = async move || {
            asked.send_replace(true);
            vec![0_u8; LARGE]
        };
        (client, serve(stream, peer, Router::new().route("/", get(large)), phase), is_asked)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_reads_is_given_up() {
        let (_serving, phase) = watch::channel(Phase::Serving);
        let (_client, served, is_asked) = served(phase).await;
        timeout(WRITE_TIMEOUT * 2, served).await.expect("the connection is closed");
        assert!(*is_asked.borrow(), "the request was read");
    }

    /// It would keep the server from ending.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_reads_is_given_up_sooner_at_the_end() {
        let (serving, phase) = watch::channel(Phase::Serving);
        let (_client, served, mut is_asked) = served(phase).await;
        let mut served = pin!(served);
        tokio::select! {
            () = &mut served => panic!("it is closed"),
            asked = is_asked.wait_for(|asked| *asked) => drop(asked.unwrap()),
        }
        serving.send_replace(Phase::Draining);
        timeout(WRITE_TIMEOUT / 2, served).await.expect("the connection is closed");
    }

    /// What a proxy has just opened may have its first request under way.
    #[tokio::test]
    async fn a_new_connection_is_served_once_while_the_server_drains() {
        let (mut client, stream, peer) = connected().await;
        let (serving, phase) = watch::channel(Phase::Serving);
        let served = tokio::spawn(serve(stream, peer, Router::new().route("/", get(async || "here")), phase));
        tokio::task::yield_now().await;
        serving.send_replace(Phase::Draining);
        // The connection's task has seen it before this one goes on.
        tokio::task::yield_now().await;
        client.write_all(REQUEST).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
        served.await.unwrap();
    }
}
