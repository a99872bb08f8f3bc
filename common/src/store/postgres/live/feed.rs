//! The live feed: what this instance and all others commit, each event once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use redis::Client;
use redis::aio::PubSubSink;
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

use super::keys;
use super::message;
use super::sequence::Sequence;
use crate::site::Site;
use crate::store::postgres::truth::Truth;
use crate::store::{Committed, Position, Result};

/// How many commits a listener may lag behind before it must catch up by reading.
const FEED: usize = 1_024;
/// Events that are read at a time.
const PAGE: usize = 1_000;
/// How long connecting and subscribing may take, and the answer to a ping.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long lies between two pings: a connection may be dead and not say so.
const PING_EVERY: Duration = Duration::from_secs(2);
/// How long lies between two attempts to subscribe.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a missing event may still come by message before it is read.
const GRACE: Duration = Duration::from_millis(50);

/// What listeners hear.
#[derive(Debug)]
pub(super) struct Feed {
    truth: Truth,
    store: String,
    /// This instance's name in messages.
    pub(super) instance: Uuid,
    sender: broadcast::Sender<Arc<[Committed]>>,
    sequences: Mutex<HashMap<Site, Sequence>>,
    version: AtomicU64,
    connected: AtomicBool,
    /// Whether anybody but this instance hears what it publishes.
    heard: AtomicBool,
    /// A site waits for events that do not come.
    gap: Notify,
}

impl Feed {
    /// What is committed by now is old.
    pub(super) fn new(truth: Truth, positions: &[(Site, u64)]) -> Self {
        let sequences = positions.iter().map(|(site, position)| (site.clone(), Sequence::after(*position)));
        Self {
            store: truth.store_id().to_string(),
            truth,
            instance: Uuid::new_v4(),
            sender: broadcast::channel(FEED).0,
            sequences: Mutex::new(sequences.collect()),
            version: AtomicU64::new(0),
            connected: AtomicBool::new(false),
            heard: AtomicBool::new(true),
            gap: Notify::new(),
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<[Committed]>> {
        self.sender.subscribe()
    }

    /// Whether anybody listens.
    pub(super) fn has_listeners(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Moves with everything that may change an answer, as far as it is known here.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Answers may have changed.
    pub(super) fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Whether other instances' commits are heard.
    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// What is to be published about own events, so that whoever listens can do without
    /// reading them; while nobody else does, only their range.
    pub(super) fn message(&self, from: u64, to: u64, events: &[Committed]) -> Vec<u8> {
        let events = self.heard.load(Ordering::Relaxed).then_some(events);
        message::write(&self.store, self.instance, from, to, events)
    }

    /// How many received what was published.
    pub(super) fn received(&self, receivers: u64) {
        self.heard.store(receivers > u64::from(self.is_connected()), Ordering::Relaxed);
    }

    fn sequences(&self) -> MutexGuard<'_, HashMap<Site, Sequence>> {
        self.sequences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of a site's events after `from` up to `to`.
    pub(super) fn offer(&self, site: &Site, from: u64, to: u64, events: Vec<Committed>) {
        self.changed();
        let mut sequences = self.sequences();
        let sequence = sequences.entry(site.clone()).or_default();
        if !self.has_listeners() {
            sequence.skip_to(to);
            return;
        }
        let heard = sequence.offer(from, to, events);
        if sequence.has_gap() {
            self.gap.notify_one();
        }
        if !heard.is_empty() {
            // Within the lock, so that nobody overtakes; receivers may leave meanwhile.
            let _ = self.sender.send(heard.into());
        }
    }

    /// What is committed after this position is news, whatever was heard before.
    pub(super) fn restart(&self, site: &Site, position: u64) {
        self.sequences().insert(site.clone(), Sequence::after(position));
        self.changed();
    }

    /// How far a site was heard.
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
            if !self.has_listeners() {
                self.offer(site, last, to, Vec::new());
                return Ok(());
            }
            let events = self.truth.committed_after(site, Position(last), PAGE).await?;
            let read = events.last().map_or(to, |event| event.position.0);
            let read = if events.len() < PAGE { read.max(to) } else { read };
            self.offer(site, last, read, events);
        }
    }

    /// Fills gaps that messages leave open, as long as it is polled.
    pub(super) async fn fill_gaps(&self) {
        loop {
            self.gap.notified().await;
            tokio::time::sleep(GRACE).await;
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

    /// Listens to the other instances, as long as it is polled.
    pub(super) async fn listen(&self, client: &Client, missed: &Notify) {
        loop {
            if let Ok(Ok(subscription)) = tokio::time::timeout(PATIENCE, subscribe(client)).await {
                // Whatever was published before is found by the next look around.
                self.connected.store(true, Ordering::Release);
                self.changed();
                missed.notify_one();
                self.hear(subscription).await;
                self.connected.store(false, Ordering::Release);
                self.heard.store(true, Ordering::Relaxed);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn hear(&self, (mut sink, mut messages): (PubSubSink, redis::aio::PubSubStream)) {
        let ping = async {
            loop {
                tokio::time::sleep(PING_EVERY).await;
                let pong = tokio::time::timeout(PATIENCE, sink.ping::<redis::Value>()).await;
                if !matches!(pong, Ok(Ok(_))) {
                    return;
                }
            }
        };
        let hear = async {
            while let Some(message) = messages.next().await {
                let Some(site) = keys::site_of_channel(message.get_channel_name()) else { continue };
                let Some(read) = message::read(&self.store, self.instance, &site, message.get_payload_bytes()) else {
                    continue;
                };
                match read.events {
                    Some(events) => self.offer(&site, read.from, read.to, events),
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
            () = hear => {}
        }
    }
}

async fn subscribe(client: &Client) -> redis::RedisResult<(PubSubSink, redis::aio::PubSubStream)> {
    let (mut sink, stream) = client.get_async_pubsub().await?.split();
    sink.psubscribe(keys::CHANNELS).await?;
    Ok((sink, stream))
}
