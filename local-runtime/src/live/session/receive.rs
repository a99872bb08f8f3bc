//! What a client says.

use axum::extract::ws::{Message, close_code};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Error as SocketError;

use super::{End, Session};
use crate::live::allowance::Verdict;
use crate::live::message::{self, Asked};

impl Session {
    /// Deals with a message; answers whether it was the pong that was waited for.
    pub(super) async fn receive(&mut self, message: Result<Message, axum::Error>) -> Result<bool, End> {
        let message = message.map_err(too_large)?;
        self.hub.received.inc();
        match &message {
            Message::Pong(_) if self.pinged => return Ok(true),
            Message::Close(_) => {
                // The socket has prepared the answer and sends it with whatever comes next.
                let _ = timeout(super::CLOSING, futures_util::SinkExt::flush(&mut self.socket)).await;
                return Err(End::Gone);
            }
            _ => {}
        }
        match (self.allowance.charge(Instant::now()), message) {
            (Verdict::Abuse, _) => return Err(End::Close(close_code::POLICY, "too many messages")),
            (Verdict::TooMuch, _) => self.send(vec![message::error("at most one message a second")]).await?,
            (Verdict::Fine, Message::Text(text)) => match Asked::parse(&text) {
                Some(Asked::RefreshStats) => self.send_stats().await?,
                Some(Asked::Ping) => self.send(vec![message::pong(self.hub.app.now())]).await?,
                Some(Asked::Resume { after }) => self.resume(after).await?,
                None => self.send(vec![message::error(message::RULE)]).await?,
            },
            (Verdict::Fine, Message::Binary(_)) => self.send(vec![message::error(message::RULE)]).await?,
            // Protocol pings are answered by the socket.
            (Verdict::Fine, _) => {}
        }
        Ok(false)
    }
}

/// A message that is too large is closed with its own code; other errors end the connection.
fn too_large(error: axum::Error) -> End {
    match error.into_inner().downcast_ref() {
        Some(SocketError::Capacity(_)) => End::Close(close_code::SIZE, "a message may have at most 4 KiB"),
        _ => End::Gone,
    }
}
