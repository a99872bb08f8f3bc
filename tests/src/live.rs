//! A client of the live feed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::http::tcp;
use crate::server::Server;
use crate::wait::{PATIENCE, within};

/// Where the feed is.
pub const PATH: &str = "/ws/analytics";

/// An open live connection.
#[derive(Debug)]
pub struct Live {
    socket: WebSocketStream<TcpStream>,
}

impl Live {
    /// Connects from 127.0.0.1 and reads the first message, which is `initial_stats`.
    pub async fn connect(server: &Server) -> Self {
        Self::connect_to(server, PATH).await
    }

    /// Connects to a path of the feed, such as one with a query, and reads `initial_stats`.
    pub async fn connect_to(server: &Server, path: &str) -> Self {
        let mut live = Self::open(server, path, Ipv4Addr::LOCALHOST, &[]).await;
        let first = live.next().await;
        assert_eq!(first["type"], "initial_stats", "{first}");
        live
    }

    /// Connects from any of 127.0.0.0/8, with headers, and reads nothing.
    pub async fn open(server: &Server, path: &str, source: Ipv4Addr, headers: &[(&'static str, &str)]) -> Self {
        let stream = tcp(server.address, source).await.expect("the server takes connections");
        Self::open_on(stream, server, path, headers).await
    }

    /// Connects on this stream and reads nothing.
    pub async fn open_on(stream: TcpStream, server: &Server, path: &str, headers: &[(&'static str, &str)]) -> Self {
        Self::try_open(stream, server.address, path, headers).await.expect("the feed opens")
    }

    /// Connects on this stream, to a server or a proxy at this address, and reads nothing.
    ///
    /// # Errors
    /// When the connection is refused or ends.
    pub async fn try_open(
        stream: TcpStream,
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let mut request = format!("ws://{address}{path}").into_client_request().expect("an address");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Self { socket })
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) {
        self.send_text(message.to_string()).await;
    }

    /// Sends any text. That the connection has ended is for the next read to find.
    pub async fn send_text(&mut self, text: impl Into<String>) {
        let _ = self.socket.send(Message::text(text.into())).await;
    }

    /// Sends any bytes. That the connection has ended is for the next read to find.
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        let _ = self.socket.send(Message::binary(bytes)).await;
    }

    /// Asks for what came after an event.
    pub async fn resume(&mut self, after: &str) {
        self.send(&json!({"type": "resume", "after": after})).await;
    }

    /// The next message; fails the test when there is none.
    pub async fn next(&mut self) -> Value {
        self.next_within(PATIENCE).await.expect("the connection stays open")
    }

    /// The next message; `None` when the connection has ended or nothing comes for so long.
    pub async fn next_within(&mut self, patience: Duration) -> Option<Value> {
        loop {
            match tokio::time::timeout(patience, self.socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => return Some(serde_json::from_str(&text).expect("a JSON message")),
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) | Err(_) => return None,
                Ok(Some(Ok(_))) => {}
            }
        }
    }

    /// The next message, or the code with which the server closes the connection.
    ///
    /// # Errors
    /// The code; `None` when the connection ends without one.
    ///
    /// # Panics
    /// When nothing comes.
    pub async fn next_or_code(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match within("a message or the end", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("a JSON message")),
                Some(Ok(Message::Close(close))) => return Err(close.map(|close| close.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The next message that is no heartbeat.
    pub async fn next_but_heartbeat(&mut self) -> Value {
        self.next_of(|kind| kind != "heartbeat").await
    }

    /// The next message of a type that `wanted` wants.
    pub async fn next_of(&mut self, wanted: impl Fn(&str) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let message = self.next_within(left).await.expect("the wanted message comes");
            if wanted(crate::text(&message["type"])) {
                return message;
            }
        }
    }

    /// Reads until `count` different events are there; answers their ids in order, and fails
    /// the test at a repeated one.
    pub async fn ids(&mut self, count: usize) -> Vec<String> {
        let mut seen = BTreeMap::new();
        while seen.len() < count {
            let event = self.next_event().await;
            let id = crate::text(&event["id"]).to_owned();
            let before = seen.insert(id, seen.len());
            assert_eq!(before, None, "comes again: {event}");
        }
        let mut ids: Vec<_> = seen.into_iter().collect();
        ids.sort_by_key(|(_, place)| *place);
        ids.into_iter().map(|(id, _)| id).collect()
    }

    /// The next message that is an event.
    pub async fn next_event(&mut self) -> Value {
        self.next_of(|kind| !matches!(kind, "heartbeat" | "initial_stats" | "pong" | "gap" | "error")).await
    }

    /// Asks for a pong and waits for it: everything sent before has been dealt with.
    pub async fn ping(&mut self) -> Value {
        self.send(&json!({"type": "ping"})).await;
        self.next_of(|kind| kind == "pong").await
    }

    /// Closes it in good order.
    pub async fn close(mut self) {
        let _ = self.socket.close(None).await;
    }
}
