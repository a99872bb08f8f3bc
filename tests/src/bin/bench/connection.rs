//! One keep-alive HTTP/1.1 connection, with as little client as an exchange needs.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// An open connection and the room for its answers.
pub(crate) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
}

/// What came back.
pub(crate) struct Answer<'a> {
    /// The status code.
    pub(crate) status: u16,
    /// The body, whole.
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects as [`connect`] does.
    ///
    /// # Errors
    /// When no server listens at `to`.
    pub(crate) async fn open(to: SocketAddr, index: usize) -> Result<Self> {
        Ok(Self { stream: connect(to, index).await?, input: vec![0; 16 * 1_024] })
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// When the connection breaks or the answer is not one that this client reads.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await.context("sending")?;
        let mut filled = 0;
        let mut head = None;
        loop {
            if filled == self.input.len() {
                self.input.resize(filled * 2, 0);
            }
            let read = self.stream.read(&mut self.input[filled..]).await.context("receiving")?;
            if read == 0 {
                bail!("the server closed the connection");
            }
            filled += read;
            if head.is_none() {
                head = Head::parse(&self.input[..filled])?;
            }
            if let Some(Head { status, length, body }) = head
                && filled >= length + body
            {
                return Ok(Answer { status, body: &self.input[length..length + body] });
            }
        }
    }
}

/// Connects from the `index`-th address of the loopback network, so that the server sees as many
/// clients as there are connections.
///
/// # Errors
/// When no server listens at `to`.
pub(crate) async fn connect(to: SocketAddr, index: usize) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let from = Ipv4Addr::new(127, 1, (index / 250) as u8, (index % 250 + 1) as u8);
    // Only Linux answers for all of 127/8 without being told; elsewhere one address will do.
    socket.bind(SocketAddrV4::new(from, 0).into()).ok();
    let stream = socket.connect(to).await.with_context(|| format!("connecting to {to}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What must be known of an answer's head to find its end.
#[derive(Clone, Copy)]
struct Head {
    status: u16,
    length: usize,
    body: usize,
}

impl Head {
    /// Reads the head; none while it is not all there.
    fn parse(input: &[u8]) -> Result<Option<Self>> {
        let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let mut lines = input[..end].split(|byte| *byte == b'\n');
        let status = lines.next().and_then(|line| number(line.get(9..12)?));
        let status = status.context("no status line")? as u16;
        let mut body = None;
        for line in lines {
            let name = b"content-length:";
            if line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name) {
                body = number(&line[name.len()..]);
            }
        }
        let body = body.context("an answer without content-length")?;
        Ok(Some(Self { status, length: end + 4, body }))
    }
}

/// The digits as a number; spaces and a carriage return around them are passed over.
fn number(text: &[u8]) -> Option<usize> {
    text.trim_ascii().iter().try_fold(0usize, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| usize::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
