//! A line to PostgreSQL on which a statement can be held up: what happens meanwhile happens at
//! exactly that point.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a statement may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is looked for.
#[derive(Debug, Clone, Default)]
struct Watch {
    /// In the text of a statement when it is run; nothing is looked for without it.
    part: Option<String>,
    /// Whether who runs it has to wait, and everything after it on the same connection.
    holds: bool,
    seen: u64,
}

/// A proxy that reads what clients say; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Wire {
    watch: watch::Sender<Watch>,
    task: JoinHandle<()>,
    /// The server's URL with the proxy in its place.
    pub(crate) url: String,
}

impl Wire {
    /// Before the server of a URL on 127.0.0.1 without parameters.
    pub(crate) async fn before(url: &str) -> Self {
        let (user, rest) = url.rsplit_once('@').unwrap();
        let (address, database) = rest.split_once('/').unwrap();
        let port: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let url = format!("{user}@127.0.0.1:{own}/{database}?sslmode=disable");
        let (watch, _) = watch::channel(Watch::default());
        let task = tokio::spawn(accept(listener, port, watch.clone()));
        Self { watch, task, url }
    }

    /// Holds up every statement with this in it, from now on.
    pub(crate) fn hold(&self, part: &str) {
        self.watch.send_replace(Watch { part: Some(part.to_owned()), holds: true, seen: 0 });
    }

    /// Looks out for a statement with this in it, and lets it pass.
    pub(crate) fn look_out(&self, part: &str) {
        self.watch.send_replace(Watch { part: Some(part.to_owned()), holds: false, seen: 0 });
    }

    /// Waits until such a statement has come.
    pub(crate) async fn reached(&self) {
        let mut watch = self.watch.subscribe();
        let reached = watch.wait_for(|watch| watch.seen > 0);
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        assert!(matches!(reached, Ok(Ok(_))), "no such statement comes");
    }

    /// Whether such a statement has come.
    pub(crate) fn has_come(&self) -> bool {
        self.watch.borrow().seen > 0
    }

    /// Lets everything pass.
    pub(crate) fn release(&self) {
        self.watch.send_replace(Watch::default());
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, watch: watch::Sender<Watch>) {
    while let Ok((client, _)) = listener.accept().await {
        let watch = watch.clone();
        tokio::spawn(async move {
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            for stream in [&client, &server] {
                stream.set_nodelay(true)?;
            }
            let (from_client, to_client) = client.into_split();
            let (mut from_server, to_server) = server.into_split();
            let mut to_client = to_client;
            tokio::select! {
                ended = read(from_client, to_server, watch) => ended,
                ended = tokio::io::copy(&mut from_server, &mut to_client) => ended.map(drop),
            }
        });
    }
}

/// Reads the client's messages and hands them on, one by one.
async fn read(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, watch: watch::Sender<Watch>) -> io::Result<()> {
    // The first one has no type.
    let length = from.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    from.read_exact(&mut startup).await?;
    to.write_u32(length).await?;
    to.write_all(&startup).await?;
    let mut prepared = HashMap::<Vec<u8>, String>::new();
    loop {
        let kind = from.read_u8().await?;
        let length = from.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        from.read_exact(&mut body).await?;
        let mut texts = body.split(|byte| *byte == 0);
        let mut text = || texts.next().unwrap_or_default().to_vec();
        let run = match kind {
            b'P' => {
                let name = text();
                prepared.insert(name, String::from_utf8(text()).unwrap());
                None
            }
            b'B' => {
                let _portal = text();
                prepared.get(&text()).cloned()
            }
            b'Q' => String::from_utf8(text()).ok(),
            _ => None,
        };
        if let Some(run) = run {
            let met = |watch: &Watch| watch.part.as_deref().is_some_and(|part| run.contains(part));
            watch.send_if_modified(|watch| {
                let met = met(watch);
                watch.seen += u64::from(met);
                met
            });
            let mut watched = watch.subscribe();
            let _ = watched.wait_for(|watch| !(watch.holds && met(watch))).await;
        }
        to.write_u8(kind).await?;
        to.write_u32(length).await?;
        to.write_all(&body).await?;
    }
}
