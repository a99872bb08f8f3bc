//! A connection that can fail: a TCP proxy between the product and a server.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a proxy does with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Hands it on.
    Open,
    /// Hands it on, each piece so much later.
    Slow(Duration),
    /// Takes it and hands nothing on: a network that swallows packets, a server that hangs.
    Stalled,
    /// Ends all connections, and new ones as soon as they are made.
    Cut,
}

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    line: watch::Sender<Line>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Before a server's port on 127.0.0.1.
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let own = listener.local_addr().expect("it has an address").port();
        let (line, _) = watch::channel(Line::Open);
        let task = tokio::spawn(accept(listener, port, line.clone()));
        Self { port: own, line, task }
    }

    /// Changes what it does, from now on and with all connections there are.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.send_replace(Line::Cut);
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, line: watch::Sender<Line>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut cut = line.subscribe();
        tokio::spawn(async move {
            let pump = pump(client, port, cut.clone());
            tokio::select! {
                _ = pump => {}
                _ = cut.wait_for(|line| *line == Line::Cut) => {}
            }
        });
    }
}

async fn pump(client: TcpStream, port: u16, line: watch::Receiver<Line>) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Either end's end is the end.
    tokio::select! {
        result = copy(from_client, to_server, line.clone()) => result,
        result = copy(from_server, to_client, line) => result,
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut line: watch::Receiver<Line>) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let state = *line.wait_for(|line| *line != Line::Stalled).await.map_err(io::Error::other)?;
        if let Line::Slow(delay) = state {
            tokio::time::sleep(delay).await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut read, mut write) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
            }
        });
        port
    }

    async fn exchange(stream: &mut TcpStream, patience: Duration) -> Option<u8> {
        stream.write_all(&[7]).await.ok()?;
        tokio::time::timeout(patience, stream.read_u8()).await.ok()?.ok()
    }

    #[tokio::test]
    async fn opens_slows_stalls_and_cuts() {
        let proxy = Proxy::before(echo().await).await;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
        let (short, long) = (Duration::from_millis(300), Duration::from_secs(10));
        assert_eq!(exchange(&mut stream, long).await, Some(7));
        proxy.set(Line::Slow(Duration::from_millis(100)));
        let began = std::time::Instant::now();
        assert_eq!(exchange(&mut stream, long).await, Some(7));
        assert!(began.elapsed() >= Duration::from_millis(200), "both ways: {:?}", began.elapsed());
        proxy.set(Line::Stalled);
        assert_eq!(exchange(&mut stream, short).await, None);
        proxy.set(Line::Open);
        assert_eq!(tokio::time::timeout(long, stream.read_u8()).await.unwrap().unwrap(), 7, "late, and whole");
        proxy.set(Line::Cut);
        assert_eq!(tokio::time::timeout(long, stream.read_u8()).await.unwrap().ok(), None, "it has ended");
        proxy.set(Line::Open);
        let mut again = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
        assert_eq!(exchange(&mut again, long).await, Some(7));
    }
}
