//! What hyper answers by itself, to what is no HTTP, put into the shape of all failures.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use common::outcome::Code;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What hyper's own answers have in common, and no answer of ours has: an empty body, and no
/// request id. hyper has no hook for them; they can only be recognised on their way out.
const EMPTY: &str = "content-length: 0\r\n";

/// Whether a client reads what it is sent.
#[derive(Debug, Default)]
pub(super) struct Reading {
    is_waited_for: AtomicBool,
    has_read: AtomicBool,
}

impl Reading {
    fn note(&self, written: bool) {
        self.is_waited_for.store(!written, Ordering::Relaxed);
        if written {
            self.has_read.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a write waits for the client, which has read nothing since this was asked last.
    pub(super) fn has_stopped(&self) -> bool {
        !self.has_read.swap(false, Ordering::Relaxed) && self.is_waited_for.load(Ordering::Relaxed)
    }
}

/// A stream that swaps hyper's own answers on their way out, and notes whether the client reads.
#[derive(Debug)]
pub(super) struct Enveloped<S> {
    stream: S,
    reading: Arc<Reading>,
    /// What is written instead of what hyper wants to write, and how long the latter is.
    swapped: Option<(Vec<u8>, usize)>,
}

impl<S> Enveloped<S> {
    pub(super) const fn new(stream: S, reading: Arc<Reading>) -> Self {
        Self { stream, reading, swapped: None }
    }
}

impl<S: AsyncWrite + Unpin> Enveloped<S> {
    /// Writes what was swapped in; then says that what hyper wanted is written.
    fn poll_swapped(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some((bytes, instead_of)) = &mut self.swapped else { return Poll::Ready(Ok(0)) };
        while !bytes.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            bytes.drain(..written);
        }
        let instead_of = *instead_of;
        self.swapped = None;
        Poll::Ready(Ok(instead_of))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Enveloped<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.swapped.is_none() {
            this.swapped = enveloped(bytes).map(|answer| (answer, bytes.len()));
        }
        if this.swapped.is_some() {
            return this.poll_swapped(context);
        }
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.reading.note(written.is_ready());
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match parts {
            [only] => self.poll_write(context, only),
            _ => {
                let this = self.get_mut();
                let written = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
                this.reading.note(written.is_ready());
                written
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Enveloped<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, into)
    }
}

/// The answer with a body, if this is one of hyper's own.
fn enveloped(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?;
    if !head.contains(EMPTY) || head.contains("x-request-id: ") || !head.ends_with("\r\n\r\n") {
        return None;
    }
    let (code, error) = if head.starts_with("HTTP/1.1 400 ") {
        (Code::InvalidEvent, "this is no HTTP/1.1 request")
    } else {
        (Code::PayloadTooLarge, "the head of a request may have at most 64 KiB and 100 headers")
    };
    let id = uuid::Uuid::new_v4().to_string();
    let body = json!({"success": false, "error": error, "code": code.as_str(), "request_id": id}).to_string();
    let headers = format!(
        "content-type: application/json\r\ncache-control: no-store\r\nx-request-id: {id}\r\ncontent-length: {}\r\n",
        body.len()
    );
    Some((head.replacen(EMPTY, &headers, 1) + &body).into_bytes())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn hypers_own_answers_are_swapped_and_nothing_else() {
        let own = "HTTP/1.1 431 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let ours = "HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n";
        // A pipe so narrow that it takes many writes.
        let (near, mut far) = duplex(16);
        let mut near = Enveloped::new(near, Arc::default());
        let written = tokio::spawn(async move {
            for text in [ours, own, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"] {
                near.write_all(text.as_bytes()).await.unwrap();
            }
        });
        let mut text = String::new();
        far.read_to_string(&mut text).await.unwrap();
        written.await.unwrap();
        let rest = text.strip_prefix(ours).unwrap();
        let rest = rest.strip_suffix("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        let (head, body) = rest.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 Too Large\r\nconnection: close\r\n"), "{head}");
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["success"], &body["code"]), (&false.into(), &"PAYLOAD_TOO_LARGE".into()));
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_has_not_stopped() {
        let (near, mut far) = duplex(16);
        let reading = Arc::<Reading>::default();
        let mut near = Enveloped::new(near, Arc::clone(&reading));
        assert!(!reading.has_stopped(), "nothing is sent");
        let writing = tokio::spawn(async move { near.write_all(&[0; 64]).await });
        tokio::task::yield_now().await;
        for _ in 0..3 {
            assert!(!reading.has_stopped(), "it has read some");
            assert!(reading.has_stopped(), "and nothing since");
            far.read_exact(&mut [0; 16]).await.unwrap();
            tokio::task::yield_now().await;
        }
        writing.await.unwrap().unwrap();
        assert!(!reading.has_stopped() && !reading.has_stopped(), "all is sent");
    }
}
