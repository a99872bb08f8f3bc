//! The hub: takes the store's feed, writes each event's message once, and keeps the heartbeat.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use common::App;
use common::collect::error_text;
use common::identity::{PseudonymOf, Pseudonyms};
use common::site::Site;
use common::store::{Committed, News, Position, StoreError};
use prometheus::IntCounter;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::channel::Channel;
use super::log::Log;
use super::{MOST_MISSED, Timing, message};
use crate::admission::Admission;

/// How long the clients of a busy feed wait for news, for each of them: ringing less often
/// makes several events one write a client, which a thousand clients need to be served by.
const PACE_PER_CLIENT: Duration = Duration::from_micros(20);
/// At most this long.
const SLOWEST_PACE: Duration = Duration::from_millis(20);
/// How many clients may be reading from the store at once to be caught up.
const CATCHING_UP: usize = 4;

/// What all live connections share.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(super) app: App,
    pub(super) timing: Timing,
    pub(super) admission: Arc<Admission>,
    pub(super) stop: CancellationToken,
    pub(super) sessions: TaskTracker,
    pub(super) received: IntCounter,
    pub(super) sent: IntCounter,
    catching_up: Semaphore,
    newcomers: mpsc::UnboundedSender<Newcomer>,
    channels: Mutex<Channels>,
}

/// A client that waits until the feed has passed what was stored before it connected.
pub(crate) type Newcomer = oneshot::Sender<()>;

/// The channels of sites with clients, and how many each has: one for each way to show visitors.
type Channels = HashMap<(Site, PseudonymOf), (Arc<Channel>, usize)>;

/// A client's share in its site's channel; the last one to be dropped closes the channel.
#[derive(Debug)]
pub(super) struct Subscription {
    hub: Arc<Hub>,
    pub(super) channel: Arc<Channel>,
    pub(super) news: watch::Receiver<()>,
    pub(super) beat: watch::Receiver<Utf8Bytes>,
    /// The number, in the channel's log, of the first event that is for this client.
    pub(super) start: u64,
}

impl Hub {
    /// A hub without clients, and those who are to become them. [`Self::run`] makes it live.
    pub(crate) fn new(
        app: &App,
        timing: Timing,
        stop: CancellationToken,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Newcomer>) {
        let (newcomers, waiting) = mpsc::unbounded_channel();
        let messages = &app.metrics.websocket_messages_total;
        if let Err(error) = app.metrics.show(app.metrics.websocket_delivery_seconds.clone()) {
            tracing::error!(%error, "the time until delivery cannot be shown");
        }
        let admission =
            Admission::new(app.config.ws_max, app.config.ws_max_per_address, app.metrics.websocket_connections.clone());
        let hub = Self {
            timing,
            admission: Arc::new(admission),
            stop,
            sessions: TaskTracker::new(),
            received: messages.with_label_values(&["in"]),
            sent: messages.with_label_values(&["out"]),
            catching_up: Semaphore::new(CATCHING_UP),
            newcomers,
            channels: Mutex::default(),
            app: app.clone(),
        };
        (Arc::new(hub), waiting)
    }

    /// Passes events and heartbeats on until the hub is stopped. `events` is the store's feed,
    /// subscribed to before the first client can connect.
    pub(crate) async fn run(self: Arc<Self>, events: Receiver<News>, newcomers: mpsc::UnboundedReceiver<Newcomer>) {
        let stop = self.stop.clone();
        let both = async { tokio::join!(self.pass_on(events, newcomers), self.keep_beat()) };
        stop.run_until_cancelled(both).await;
    }

    /// Waits until all clients have been sent away, which they are when the token is cancelled.
    pub(crate) async fn drain(&self) {
        self.sessions.close();
        self.sessions.wait().await;
    }

    /// A share in a site's channel, for events that are stored from now on: what was stored
    /// before is in the figures that the client is sent first.
    pub(super) async fn join(self: &Arc<Self>, site: &Site, of: PseudonymOf) -> Subscription {
        let (newcomer, passed) = oneshot::channel();
        if self.newcomers.send(newcomer).is_ok() {
            // A feed that has ended has passed everything, too.
            let _ = passed.await;
        }
        self.subscribe(site, of)
    }

    /// A share in a site's channel, which is opened if there is none.
    pub(super) fn subscribe(self: &Arc<Self>, site: &Site, of: PseudonymOf) -> Subscription {
        let mut channels = self.lock();
        let (channel, clients) =
            channels.entry((site.clone(), of)).or_insert_with(|| (Arc::new(Channel::new(site.clone(), of)), 0));
        *clients += 1;
        let channel = Arc::clone(channel);
        let (news, beat) = channel.listen();
        let start = channel.log().next();
        Subscription { hub: Arc::clone(self), channel, news, beat, start }
    }

    /// A page of what follows a place, read for one client that has fallen behind; few may at
    /// once, so that a thousand cannot delay the questions of others.
    pub(super) async fn read_after(
        &self,
        site: &Site,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Committed>, StoreError> {
        let _permit = self.catching_up.acquire().await;
        self.app.store.committed_after(site, after, limit).await
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn channels(&self) -> Vec<Arc<Channel>> {
        self.lock().values().map(|(channel, _)| Arc::clone(channel)).collect()
    }

    async fn pass_on(&self, mut events: Receiver<News>, mut newcomers: mpsc::UnboundedReceiver<Newcomer>) {
        let mut passed = 0;
        let mut waiting: Vec<(u64, Newcomer)> = Vec::new();
        let mut ring_at = Instant::now();
        let mut unheard = false;
        loop {
            if unheard && Instant::now() >= ring_at {
                self.channels().iter().for_each(|channel| channel.ring());
                unheard = false;
                let clients = u32::try_from(self.admission.open()).unwrap_or(u32::MAX);
                ring_at = Instant::now() + PACE_PER_CLIENT.saturating_mul(clients).min(SLOWEST_PACE);
            }
            tokio::select! {
                () = tokio::time::sleep_until(ring_at), if unheard => {}
                Some(newcomer) = newcomers.recv() => waiting.push((passed + events.len() as u64, newcomer)),
                batch = events.recv() => match batch {
                    Ok(news) => {
                        passed += 1;
                        unheard |= match news {
                            News::Committed(batch) => self.publish(&batch).await,
                            News::Gap(site) => self.begin_anew(&site),
                        };
                    }
                    Err(RecvError::Lagged(batches)) => {
                        passed += batches;
                        tracing::warn!(batches, "the live feed fell behind the store");
                        unheard |= self.catch_up().await;
                    }
                    Err(RecvError::Closed) => return,
                },
            }
            for (_, newcomer) in waiting.extract_if(.., |(until, _)| *until <= passed) {
                // The client may have left meanwhile.
                let _ = newcomer.send(());
            }
        }
    }

    /// Writes a batch of events into the logs of those sites that have clients. Answers whether
    /// any has.
    async fn publish(&self, batch: &[Committed]) -> bool {
        if self.lock().is_empty() {
            return false;
        }
        for of in [PseudonymOf::Event, PseudonymOf::Day] {
            if self.lock().keys().all(|(_, kind)| *kind != of) {
                continue;
            }
            let pseudonyms = self.pseudonyms(of).await;
            let channels = self.lock();
            for committed in batch {
                if let Some((channel, _)) = channels.get(&(committed.event.site.clone(), of)) {
                    channel.write(|log| log.push(committed.position, written(committed, pseudonyms.as_ref())));
                }
            }
        }
        true
    }

    /// Sends a gap to the clients of a site. Answers whether it has any.
    fn begin_anew(&self, site: &Site) -> bool {
        let mut channels = self.channels();
        channels.retain(|channel| channel.site == *site);
        channels.iter().for_each(|channel| channel.write(Log::begin_anew));
        !channels.is_empty()
    }

    /// Reads from the store what the feed lost. Where that is more than clients are caught up
    /// with, or cannot be read, the clients receive a gap.
    async fn catch_up(&self) -> bool {
        for channel in self.channels() {
            let pseudonyms = self.pseudonyms(channel.of).await;
            // A channel without an event has no position to read from.
            let Some(last) = channel.log().last() else {
                channel.write(Log::tear);
                continue;
            };
            let missed = self.app.store.committed_after(&channel.site, last, MOST_MISSED).await;
            match missed {
                Ok(missed) if missed.len() < MOST_MISSED => channel.write(|log| {
                    for committed in &missed {
                        log.push(committed.position, written(committed, pseudonyms.as_ref()));
                    }
                }),
                Ok(_) => channel.write(Log::tear),
                Err(error) => {
                    tracing::error!(error = error_text(&error), "the live feed could not be caught up");
                    channel.write(Log::tear);
                }
            }
        }
        true
    }

    /// Without the key there are no messages; clients then read the events from the store
    /// later, which is where the key is.
    async fn pseudonyms(&self, of: PseudonymOf) -> Option<Pseudonyms> {
        let pseudonyms = self.app.identity.pseudonyms(of, self.app.now()).await;
        pseudonyms
            .inspect_err(|error| tracing::error!(error = error_text(error), "the pseudonym key could not be had"))
            .ok()
    }

    /// Asks once a beat and site, however many clients there are.
    async fn keep_beat(&self) {
        let mut ticks = tokio::time::interval_at(Instant::now() + self.timing.beat, self.timing.beat);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for channel in self.channels() {
                // A beat is left out while the figures cannot be had; the store's error is logged there.
                if let Ok(now) = realtime::current(&self.app, &channel.site, self.app.now()).await {
                    channel.beat(message::heartbeat(now));
                }
            }
        }
    }
}

fn written(committed: &Committed, pseudonyms: Option<&Pseudonyms>) -> Option<Utf8Bytes> {
    pseudonyms.map(|pseudonyms| message::event(&committed.event, pseudonyms))
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut channels = self.hub.lock();
        let key = (self.channel.site.clone(), self.channel.of);
        if let Some((_, clients)) = channels.get_mut(&key) {
            *clients -= 1;
            if *clients == 0 {
                channels.remove(&key);
            }
        }
    }
}
