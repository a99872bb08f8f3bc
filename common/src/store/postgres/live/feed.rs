//! The live feed: what this instance and all others commit, each event once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::PubSubSink;
use redis::{Client, Cmd};
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

use super::sequence::Sequence;
use super::{SiteBatch, keys, message};
use crate::site::Site;
use crate::store::postgres::connection::Connections;
use crate::store::postgres::presence::Presence;
use crate::store::postgres::reads;
use crate::store::{Committed, Position, Result};

/// How many commits a listener may lag behind before it must catch up by reading.
const CAPACITY: usize = 1_024;
/// Events that are read at a time.
const PAGE: usize = 1_000;
/// How long connecting and subscribing may take, and the answer to a ping.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);
/// How long lies between two pings: a connection may be dead without an error.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// How long lies between two attempts to subscribe.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long a missing event may still come by message before it is read.
const GAP_TIMEOUT: Duration = Duration::from_millis(50);

/// What listeners get.
#[derive(Debug)]
pub(super) struct Feed {
    connections: Connections,
    store: String,
    /// This instance's name in messages.
    instance: Uuid,
    sender: broadcast::Sender<Arc<[Committed]>>,
    sequences: Mutex<HashMap<Site, Sequence>>,
    pub(super) presence: Presence,
    version: AtomicU64,
    connected: AtomicBool,
    /// Whether other instances receive what is published.
    has_others: AtomicBool,
    /// A site waits for missing events.
    gap: Notify,
}

impl Feed {
    /// What is committed by now is old.
    pub(super) fn new(connections: Connections, store: &str, positions: &[(Site, u64)]) -> Self {
        let sequences = positions.iter().map(|(site, position)| (site.clone(), Sequence::after(*position)));
        Self {
            connections,
            store: store.to_owned(),
            instance: Uuid::new_v4(),
            sender: broadcast::channel(CAPACITY).0,
            sequences: Mutex::new(sequences.collect()),
            presence: Presence::default(),
            version: AtomicU64::new(0),
            connected: AtomicBool::new(false),
            has_others: AtomicBool::new(true),
            gap: Notify::new(),
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<[Committed]>> {
        self.sender.subscribe()
    }

    /// Whether a site's events are needed here.
    fn follows(&self, site: &Site) -> bool {
        self.sender.receiver_count() > 0 || self.presence.follows(site)
    }

    /// Moves with everything that may change an answer, as far as it is known here.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Notes that answers may have changed.
    pub(super) fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Whether other instances' messages are received.
    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Publishes own events, so that other instances need not read them; only their range when there
    /// is no other instance.
    pub(super) fn publish(&self, batch: &SiteBatch) -> Cmd {
        let events = self.has_others.load(Ordering::Relaxed).then_some(&*batch.committed);
        let message = message::write(&self.store, self.instance, batch.from, batch.to, events);
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(keys::channel(&batch.site)).arg(message);
        publish
    }

    /// Notes how many instances received what was published.
    pub(super) fn received(&self, receivers: u64) {
        self.has_others.store(receivers > u64::from(self.is_connected()), Ordering::Relaxed);
    }

    fn sequences(&self) -> MutexGuard<'_, HashMap<Site, Sequence>> {
        self.sequences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of a site's events after `from` up to `to`.
    pub(super) fn offer(&self, site: &Site, from: u64, to: u64, events: &[Committed]) {
        // In no order: only the latest event of a visitor counts.
        self.presence.see(site, events);
        self.changed();
        let mut sequences = self.sequences();
        let sequence = sequences.entry(site.clone()).or_default();
        if !self.follows(site) {
            sequence.skip_to(to);
            return;
        }
        let due = sequence.offer(from, to, events.to_vec());
        if sequence.has_gap() {
            self.gap.notify_one();
        }
        if !due.is_empty() {
            // Within the lock, so that the order is kept; receivers may leave meanwhile.
            let _ = self.sender.send(due.into());
        }
    }

    /// Events after this position are new, whatever was delivered before.
    pub(super) fn restart(&self, site: &Site, position: u64) {
        self.sequences().insert(site.clone(), Sequence::after(position));
        self.changed();
    }

    /// The last position of a site that was delivered.
    pub(super) fn last(&self, site: &Site) -> u64 {
        self.sequences().get(site).map_or(0, Sequence::last)
    }

    /// Reads what is missing of a site up to a committed position.
    pub(super) async fn catch_up(&self, site: &Site, to: u64) -> Result<()> {
        loop {
            let last = self.last(site);
            if last >= to {
                return Ok(());
            }
            if !self.follows(site) {
                self.offer(site, last, to, &[]);
                return Ok(());
            }
            let events = reads::committed_after(&self.connections, site, Position(last), PAGE).await?;
            let read = events.last().map_or(to, |event| event.position.0);
            let read = if events.len() < PAGE { read.max(to) } else { read };
            self.offer(site, last, read, &events);
        }
    }

    /// Fills gaps that messages leave open, as long as it is polled.
    pub(super) async fn fill_gaps(&self) {
        loop {
            self.gap.notified().await;
            tokio::time::sleep(GAP_TIMEOUT).await;
            let gaps: Vec<(Site, u64)> = self
                .sequences()
                .iter()
                .filter_map(|(site, sequence)| Some((site.clone(), sequence.gap_until()?)))
                .collect();
            for (site, until) in gaps {
                if let Err(error) = self.catch_up(&site, until).await {
                    tracing::debug!(%error, "missing events could not be read");
                    // The next look around tries again.
                    break;
                }
            }
        }
    }

    /// Receives other instances' messages, as long as it is polled.
    pub(super) async fn listen(&self, client: &Client, missed: &Notify) {
        loop {
            if let Ok(Ok(subscription)) = tokio::time::timeout(REPLY_TIMEOUT, subscribe(client)).await {
                // Whatever was published before is found by the next look around.
                self.connected.store(true, Ordering::Release);
                self.changed();
                missed.notify_one();
                self.receive(subscription).await;
                self.connected.store(false, Ordering::Release);
                self.has_others.store(true, Ordering::Relaxed);
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    async fn receive(&self, (mut sink, mut messages): (PubSubSink, redis::aio::PubSubStream)) {
        let ping = async {
            loop {
                tokio::time::sleep(PING_INTERVAL).await;
                let pong = tokio::time::timeout(REPLY_TIMEOUT, sink.ping::<redis::Value>()).await;
                if !matches!(pong, Ok(Ok(_))) {
                    return;
                }
            }
        };
        let receive = async {
            while let Some(message) = messages.next().await {
                let Some(site) = keys::site_of_channel(message.get_channel_name()) else { continue };
                let Some(read) = message::read(&self.store, self.instance, &site, message.get_payload_bytes()) else {
                    continue;
                };
                match read.events {
                    Some(events) => self.offer(&site, read.from, read.to, &events),
                    None => {
                        self.changed();
                        if let Err(error) = self.catch_up(&site, read.to).await {
                            tracing::debug!(%error, "announced events could not be read");
                        }
                    }
                }
            }
        };
        tokio::select! {
            () = ping => {}
            () = receive => {}
        }
    }
}

async fn subscribe(client: &Client) -> redis::RedisResult<(PubSubSink, redis::aio::PubSubStream)> {
    let (mut sink, stream) = client.get_async_pubsub().await?.split();
    sink.psubscribe(keys::CHANNELS).await?;
    Ok((sink, stream))
}
