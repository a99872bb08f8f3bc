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
use super::watch::Positions;
use super::{SiteBatch, keys, message};
use crate::site::Site;
use crate::store::postgres::connection::Connections;
use crate::store::postgres::feed;
use crate::store::postgres::presence::Presence;
use crate::store::{Committed, News, Position, Result};

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
    /// The history that messages name, for the identity of a database.
    history: Mutex<(u32, Arc<str>)>,
    /// This instance's name in messages.
    instance: Uuid,
    sender: broadcast::Sender<News>,
    sequences: Mutex<Sequences>,
    pub(super) presence: Presence,
    version: AtomicU64,
    connected: AtomicBool,
    /// Whether other instances receive what is published.
    has_others: AtomicBool,
    /// A site waits for missing events.
    gap: Notify,
}

/// How far each site was delivered.
#[derive(Debug)]
struct Sequences {
    of: HashMap<Site, Sequence>,
    /// The database's epoch that these are positions of. In another one they may have been given to
    /// other events: nothing is delivered until [`Feed::compare`] has found out.
    epoch: u64,
}

impl Feed {
    /// What is committed by now, in this epoch, is old.
    pub(super) fn new(connections: Connections, store: &str, epoch: u64, positions: &Positions) -> Self {
        let of = positions.iter().map(|(site, position)| (site.clone(), Sequence::after(*position))).collect();
        Self {
            connections,
            store: store.to_owned(),
            history: Mutex::new((0, "".into())),
            instance: Uuid::new_v4(),
            sender: broadcast::channel(CAPACITY).0,
            sequences: Mutex::new(Sequences { of, epoch }),
            presence: Presence::default(),
            version: AtomicU64::new(0),
            connected: AtomicBool::new(false),
            has_others: AtomicBool::new(true),
            gap: Notify::new(),
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<News> {
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
        let message = message::write(&self.history(), self.instance, batch.from, batch.to, events);
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(keys::channel(&batch.site)).arg(message);
        publish
    }

    /// Of which positions messages speak: those of this store, in the database that it is in now.
    fn history(&self) -> Arc<str> {
        let identity = self.connections.identity();
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.1.is_empty() || history.0 != identity {
            *history = (identity, format!("{}/{identity:08x}", self.store).into());
        }
        Arc::clone(&history.1)
    }

    /// Notes how many instances received what was published.
    pub(super) fn received(&self, receivers: u64) {
        self.has_others.store(receivers > u64::from(self.is_connected()), Ordering::Relaxed);
    }

    fn sequences(&self) -> MutexGuard<'_, Sequences> {
        self.sequences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of a site's events after `from` up to `to`. Answers whether they were taken: those of
    /// a database that was not compared yet are read again when it was.
    pub(super) fn offer(&self, site: &Site, from: u64, to: u64, events: &[Committed]) -> bool {
        // In no order: only the latest event of a visitor counts.
        self.presence.see(site, events);
        self.changed();
        let mut sequences = self.sequences();
        if self.connections.epoch() != sequences.epoch {
            return false;
        }
        let sequence = sequences.of.entry(site.clone()).or_default();
        if !self.follows(site) {
            sequence.skip_to(to, events.last());
            return true;
        }
        let due = sequence.offer(from, to, events.to_vec());
        if sequence.has_gap() {
            self.gap.notify_one();
        }
        if !due.is_empty() {
            // Within the lock, so that the order is kept; receivers may leave meanwhile.
            let _ = self.sender.send(News::Committed(due.into()));
        }
        true
    }

    /// Events after this position are new, whatever was delivered before; what was between is missing.
    pub(super) fn restart(&self, site: &Site, position: u64) {
        self.begin_anew(&mut self.sequences(), site, position);
    }

    /// Forgets a site that was removed.
    pub(super) fn forget(&self, site: &Site) {
        self.sequences().of.remove(site);
        self.changed();
    }

    fn begin_anew(&self, sequences: &mut Sequences, site: &Site, position: u64) {
        sequences.of.insert(site.clone(), Sequence::after(position));
        self.changed();
        let _ = self.sender.send(News::Gap(site.clone()));
    }

    /// Events of the site that were delivered may be gone, and with them who was there.
    pub(super) fn erased(&self, site: &Site) {
        self.presence.forget(site);
        self.changed();
        // Receivers may leave meanwhile.
        let _ = self.sender.send(News::Gap(site.clone()));
    }

    /// Whether the database is another one than positions were delivered of.
    pub(super) fn is_replaced(&self) -> bool {
        self.connections.epoch() != self.sequences().epoch
    }

    /// Goes on in a database of this epoch, where so much is committed: sites whose last event is not
    /// at its position any more begin anew.
    pub(super) async fn compare(&self, epoch: u64, committed: &Positions) -> Result<()> {
        let delivered = self.delivered();
        let places = delivered.iter().map(|(site, last, _)| (site.clone(), *last)).collect::<Vec<_>>();
        let there: HashMap<Site, Uuid> = feed::ids_at(&self.connections, &places).await?.into_iter().collect();
        {
            let mut sequences = self.sequences();
            sequences.epoch = epoch;
            for (site, last, id) in &delivered {
                let committed = committed.get(site).copied().unwrap_or(0);
                // An event that is not there was dropped with its day.
                if *last > committed || there.get(site).is_some_and(|there| Some(*there) != *id) {
                    self.begin_anew(&mut sequences, site, committed);
                }
            }
        }
        self.learn().await
    }

    /// Reads which events are the last ones of sites, where that is not known.
    pub(super) async fn learn(&self) -> Result<()> {
        let unknown = self.delivered().into_iter().filter(|(.., id)| id.is_none());
        let places = unknown.map(|(site, last, _)| (site, last)).collect::<Vec<_>>();
        let there = feed::ids_at(&self.connections, &places).await?;
        let lasts: HashMap<Site, u64> = places.into_iter().collect();
        let mut sequences = self.sequences();
        for (site, id) in there {
            if let (Some(sequence), Some(last)) = (sequences.of.get_mut(&site), lasts.get(&site)) {
                sequence.learn(*last, id);
            }
        }
        Ok(())
    }

    /// Of each site that has events: the last position that was delivered, and the event there.
    fn delivered(&self) -> Vec<(Site, u64, Option<Uuid>)> {
        let sequences = self.sequences();
        let begun = sequences.of.iter().filter(|(_, sequence)| sequence.last() > 0);
        begun.map(|(site, sequence)| (site.clone(), sequence.last(), sequence.last_id())).collect()
    }

    /// Whether a site is known.
    pub(super) fn has(&self, site: &Site) -> bool {
        self.sequences().of.contains_key(site)
    }

    /// The last position of each site that was delivered.
    pub(super) fn positions(&self) -> Positions {
        self.sequences().of.iter().map(|(site, sequence)| (site.clone(), sequence.last())).collect()
    }

    /// The last position of a site that was delivered.
    fn last(&self, site: &Site) -> u64 {
        self.sequences().of.get(site).map_or(0, Sequence::last)
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
            let events = feed::committed_after(&self.connections, site, Position(last), PAGE).await?;
            let read = events.last().map_or(to, |event| event.position.0);
            let read = if events.len() < PAGE { read.max(to) } else { read };
            if !self.offer(site, last, read, &events) {
                return Ok(());
            }
        }
    }

    /// Fills gaps that messages leave open, as long as it is polled.
    pub(super) async fn fill_gaps(&self) {
        loop {
            self.gap.notified().await;
            tokio::time::sleep(GAP_TIMEOUT).await;
            let gaps: Vec<(Site, u64)> = self
                .sequences()
                .of
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
                self.changed();
                self.connected.store(true, Ordering::Release);
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
                let Some(read) = message::read(&self.history(), self.instance, &site, message.get_payload_bytes())
                else {
                    continue;
                };
                match read.events {
                    Some(events) => {
                        self.offer(&site, read.from, read.to, &events);
                    }
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
