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

use self::envelope::Enveloped;

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
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_HEAD)
        .max_buf_size(MOST_BUFFERED)
        .serve_connection(TokioIo::new(Enveloped::new(with_write_timeout(stream, WRITE_TIMEOUT))), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut silence = pin!(tokio::time::sleep(FIRST_HEAD));
    let mut silent = true;
    loop {
        tokio::select! {
            biased;
            // An error here is the client's: it broke off, or spoke something else than HTTP.
            _ = &mut connection => return,
            changed = phase.changed() => match *phase.borrow_and_update() {
                Phase::Serving | Phase::Leaving if changed.is_ok() => {}
                Phase::Draining if changed.is_ok() && spoken.load(Ordering::Relaxed) => {
                    connection.as_mut().graceful_shutdown();
                }
                // It would be closed with its first request unread, which the client cannot send again
                // without the risk that it was read.
                Phase::Draining if changed.is_ok() => {
                    silence.as_mut().reset(Instant::now() + LAST_HEAD);
                    silent = true;
                }
                _ => return,
            },
            () = &mut silence, if silent => {
                if !spoken.load(Ordering::Relaxed) {
                    return;
                }
                silent = false;
            }
        }
    }
}

/// A stream whose writes fail when the client has read nothing for this long.
fn with_write_timeout(stream: TcpStream, timeout: Duration) -> Pin<Box<TimeoutStream<TcpStream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(timeout));
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
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_client_that_never_reads_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = with_write_timeout(stream, Duration::from_millis(50));
        let more_than_buffers = vec![0; 64 * 1024 * 1024];
        let error = stream.write_all(&more_than_buffers).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        drop(client);
    }
}
