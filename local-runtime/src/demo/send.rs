//! Sends one event on a connection of its own.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use common::http::BASE_PATH;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

use super::DemoError;
use super::visits::Next;
use crate::cli::{Answer, MOST_BYTES, Request, reachable};

/// How long an exchange may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that a server may make us wait.
const LONGEST_WAIT: u64 = 60;

/// Where events are sent: `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server(String);

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// The server took it.
    Taken,
    /// The address has used up its rate limit; to be sent again after this time.
    Limited(Duration),
    /// The store is away; to be sent again after this time.
    Unavailable(Duration),
}

impl Server {
    /// The server that listens on `address`.
    pub(super) fn at(address: SocketAddr) -> Self {
        Self(reachable(address).to_string())
    }

    /// Sends an event.
    ///
    /// # Errors
    /// When there is no answer in time, or the answer is a refusal.
    pub(super) async fn send(&self, next: &Next) -> Result<Sent, DemoError> {
        let answer = timeout(TIMEOUT, self.exchange(next)).await.map_err(|_| self.silent("no answer in 10 s"))?;
        let answer = answer.map_err(|error| self.silent(error))?.ok_or_else(|| self.silent("this is no HTTP"))?;
        let wait = Duration::from_secs(answer.retry_after.unwrap_or(1).clamp(1, LONGEST_WAIT));
        match answer.status {
            200..=299 => Ok(Sent::Taken),
            429 => Ok(Sent::Limited(wait)),
            503 => Ok(Sent::Unavailable(wait)),
            status => Err(DemoError::Refused { server: self.to_string(), status, message: answer.body }),
        }
    }

    async fn exchange(&self, next: &Next) -> io::Result<Option<Answer>> {
        let mut stream = self.connect(next.address).await?;
        let path = format!("{BASE_PATH}/event");
        let body = next.event.to_string();
        let request = Request {
            method: "POST",
            path: &path,
            host: &self.0,
            headers: &[("User-Agent", next.user_agent)],
            body: &body,
        };
        stream.write_all(&request.to_bytes()).await?;
        let mut bytes = Vec::new();
        stream.take(MOST_BYTES).read_to_end(&mut bytes).await?;
        Ok(Answer::parse(&bytes))
    }

    /// On this machine every visitor has an address of their own, out of the loopback network
    /// 127.0.0.0/8, as they would in the world; where the system has but one, they share it.
    async fn connect(&self, from: Ipv4Addr) -> io::Result<TcpStream> {
        let mut unreachable = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in lookup_host(&self.0).await? {
            if address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) {
                let socket = TcpSocket::new_v4()?;
                if socket.bind((from, 0).into()).is_ok()
                    && let Ok(stream) = socket.connect(address).await
                {
                    return Ok(stream);
                }
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => unreachable = error,
            }
        }
        Err(unreachable)
    }

    fn silent(&self, reason: impl fmt::Display) -> DemoError {
        DemoError::NoServer { server: self.to_string(), reason: reason.to_string() }
    }
}

impl FromStr for Server {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rule = "http://HOST:PORT";
        let host = text.strip_prefix("http://").ok_or(rule)?.trim_end_matches('/');
        let sane =
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if !sane {
            return Err(rule);
        }
        Ok(Self(if has_port { host.to_owned() } else { format!("{host}:80") }))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers() {
        for (text, server) in [
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://localhost:8080/", "http://localhost:8080"),
            ("http://example.com", "http://example.com:80"),
            ("http://[::1]:80", "http://[::1]:80"),
        ] {
            assert_eq!(text.parse::<Server>().unwrap().to_string(), server);
        }
        for bad in ["localhost:8080", "https://x", "http://", "http://a/b", "http://a b", "http://a\r\nX: y"] {
            assert!(bad.parse::<Server>().is_err(), "{bad}");
        }
        assert_eq!(Server::at("0.0.0.0:81".parse().unwrap()).to_string(), "http://127.0.0.1:81");
    }
}
