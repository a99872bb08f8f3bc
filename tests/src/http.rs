//! A small HTTP/1.1 client that can be as odd as a test needs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};

use crate::API;
use crate::answer::Answer;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request, as its bytes will say it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers besides `host` and `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// The address it comes from, which may be any of 127.0.0.0/8.
    pub source: Ipv4Addr,
}

/// A question.
#[must_use]
pub fn get(path: impl Into<String>) -> Request {
    request("GET", path)
}

/// JSON for an endpoint of the API, such as `/event`.
#[must_use]
pub fn post(endpoint: &str, json: &Value) -> Request {
    request("POST", format!("{API}{endpoint}")).header("content-type", "application/json").body(json.to_string())
}

/// A request with nothing but a method and a path.
#[must_use]
pub fn request(method: &str, path: impl Into<String>) -> Request {
    Request {
        method: method.to_owned(),
        path: path.into(),
        headers: Vec::new(),
        body: None,
        source: Ipv4Addr::LOCALHOST,
    }
}

/// A request that would open a live connection.
#[must_use]
pub fn upgrade(path: &str) -> Request {
    get(path)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

impl Request {
    /// With one more header; a second `connection` is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        let has_connection = self.headers.iter().any(|(name, _)| name == "connection");
        if !(name == "connection" && has_connection) {
            self.headers.push((name.to_owned(), value.into()));
        }
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// From this address, one of 127.0.0.0/8.
    #[must_use]
    pub fn from(mut self, source: Ipv4Addr) -> Self {
        self.source = source;
        self
    }

    /// Everything up to and with the empty line.
    #[must_use]
    pub fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: localhost\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let chunked = self.headers.iter().any(|(name, _)| name == "transfer-encoding");
        if let Some(body) = self.body.as_ref().filter(|_| !chunked) {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head + "\r\n"
    }
}

/// A connection that stays open from request to request.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Connection {
    /// From 127.0.0.1.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn open(server: SocketAddr) -> io::Result<Self> {
        Self::open_from(server, Ipv4Addr::LOCALHOST).await
    }

    /// From this address, one of 127.0.0.0/8.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn open_from(server: SocketAddr, source: Ipv4Addr) -> io::Result<Self> {
        let (reader, writer) = tcp(server, source).await?.into_split();
        Ok(Self { reader: BufReader::new(reader), writer })
    }

    /// Sends a request and reads its answer, which may come before the whole body is sent.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub async fn send(&mut self, request: &Request) -> io::Result<Answer> {
        let mut bytes = request.head().into_bytes();
        bytes.extend(request.body.iter().flatten());
        let Self { reader, writer } = self;
        let mut write = pin!(writer.write_all(&bytes));
        let mut read = pin!(Answer::read(reader, &request.method));
        let mut written = false;
        let exchange = async {
            loop {
                tokio::select! {
                    answer = &mut read => return answer,
                    _ = &mut write, if !written => written = true,
                }
            }
        };
        tokio::time::timeout(PATIENCE, exchange).await?
    }

    /// Writes bytes, a part of a request perhaps.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.writer.write_all(bytes.as_ref()).await
    }

    /// Reads the next answer, an interim one too.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub async fn read(&mut self) -> io::Result<Answer> {
        tokio::time::timeout(PATIENCE, Answer::read_next(&mut self.reader, "POST")).await?
    }
}

/// A bare connection from this address, one of 127.0.0.0/8.
///
/// # Errors
/// When the server does not take it.
pub async fn tcp(server: SocketAddr, source: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
