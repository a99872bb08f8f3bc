//! A client of the live feed.

use std::time::Duration;

use common::App;
use common::event::{Event, EventData};
use common::event_type::EventType;
use common::measure::facts::Facts;
use common::site::Site;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};
use uuid::Uuid;

use crate::testing::Server;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing must come for there to be nothing.
const QUIET: Duration = Duration::from_millis(150);

pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn connect(server: &Server) -> Self {
        Self::connect_to(server, "/ws/analytics", &[]).await.unwrap()
    }

    /// Connects by a socket that takes little before it is read.
    pub(crate) async fn connect_with_small_buffer(server: &Server) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let stream = MaybeTlsStream::Plain(socket.connect(server.address).await.unwrap());
        let url = format!("ws://{}/ws/analytics", server.address);
        Self(client_async(url, stream).await.unwrap().0)
    }

    /// Connects, or answers why not.
    pub(crate) async fn connect_to(
        server: &Server,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Box<Response<Option<Vec<u8>>>>> {
        let mut request = format!("ws://{}{path}", server.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn say_bytes(&mut self, bytes: Vec<u8>) {
        self.0.send(Message::binary(bytes)).await.unwrap();
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a message in time").expect("open").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message of this type; others are passed over.
    pub(crate) async fn until(&mut self, wanted: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == wanted {
                return message;
            }
        }
    }

    /// Fails when a message comes.
    pub(crate) async fn has_nothing(&mut self) {
        let nothing = timeout(QUIET, self.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
    }

    /// The code with which the server closes; what comes before is passed over.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.expect("a close in time").expect("a close");
            if let Message::Close(Some(frame)) = message.unwrap() {
                return frame.code.into();
            }
        }
    }

    pub(crate) async fn resume(&mut self, after: Uuid) {
        self.say(&json!({"type": "resume", "after": after}).to_string()).await;
    }

    /// The ids of the next events.
    pub(crate) async fn ids(&mut self, count: usize) -> Vec<Uuid> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let message = self.next().await;
            ids.push(serde_json::from_value(message["id"].clone()).unwrap_or_else(|_| panic!("{message}")));
        }
        ids
    }
}

/// Appends events of 8 kB in one commit, and waits until they are in the store's feed; answers their
/// ids.
pub(crate) async fn append_large(app: &App, events: usize) -> Vec<Uuid> {
    let now = app.now();
    let fields = json!({"text": "x".repeat(8_000)});
    let event = || Event {
        id: app.source.event_id(now),
        site: Site::default(),
        visitor: Uuid::nil().into(),
        event_type: EventType::FormSubmit,
        data: EventData::new(fields.as_object().unwrap()).unwrap(),
        page_url: None,
        referrer: None,
        created_at: now,
        facts: Facts::default(),
    };
    let mut feed = app.store.subscribe();
    let events: Vec<_> = (0..events).map(|_| event()).collect();
    let ids = events.iter().map(|event| event.id).collect();
    app.store.append(events, now).await.unwrap();
    feed.recv().await.unwrap();
    ids
}

/// Waits until it is so.
pub(crate) async fn until(so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it comes to be so in time");
}
