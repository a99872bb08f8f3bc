//! One client: the only task that reads from and writes to its socket.

mod receive;
mod resume;

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use common::access::Caller;
use common::collect::error_text;
use common::store::{Committed, Position};
use futures_util::SinkExt;
use tokio::time::{Instant, Sleep, sleep, timeout};
use uuid::Uuid;

use super::allowance::Allowance;
use super::hub::{Hub, Subscription};
use super::log::Reading;
use super::message;
use crate::admission::Place;

/// How many events are read from the store at once: a session holds them until its client has read them.
const PAGE: usize = 100;
/// How many of them are written at once.
const AT_ONCE: usize = 32;
/// How long a close may take, the client's answer included, in seconds.
const CLOSING: std::time::Duration = std::time::Duration::from_secs(1);

/// A connection and what was sent on it.
pub(super) struct Session {
    hub: Arc<Hub>,
    socket: WebSocket,
    subscription: Subscription,
    /// Who is shown the feed.
    caller: Option<Arc<Caller>>,
    allowance: Allowance,
    /// The number, in the channel's log, of the next event to send.
    next: u64,
    /// Every event from this place on was sent, as far as the log has been read.
    began: Option<Position>,
    /// Every event up to this place was sent, or is known to the client from elsewhere.
    seen: Option<Position>,
    /// Events that were stored after this one come before any other.
    after: Option<Uuid>,
    /// Whether a ping is out.
    pinged: bool,
    _place: Place,
}

/// Why a session ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client is gone, or does not take what it is sent.
    Gone,
    /// We close, with this code and reason.
    Close(u16, &'static str),
}

impl From<axum::Error> for End {
    fn from(_: axum::Error) -> Self {
        Self::Gone
    }
}

impl Session {
    pub(super) fn new(
        hub: Arc<Hub>,
        socket: WebSocket,
        subscription: Subscription,
        caller: Option<Arc<Caller>>,
        place: Place,
        after: Option<Uuid>,
    ) -> Self {
        Self {
            socket,
            caller,
            allowance: Allowance::new(Instant::now()),
            next: subscription.start,
            began: None,
            seen: None,
            after,
            pinged: false,
            subscription,
            hub,
            _place: place,
        }
    }

    /// Serves the client until either side has had enough.
    pub(super) async fn run(mut self) {
        if let Err(End::Close(code, reason)) = self.converse().await {
            let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            // The client's close comes back before ours is sure to have arrived.
            let _ = timeout(CLOSING, async {
                self.socket.send(close).await?;
                while self.socket.recv().await.transpose()?.is_some() {}
                Ok::<_, axum::Error>(())
            })
            .await;
        }
    }

    async fn converse(&mut self) -> Result<(), End> {
        let hub = Arc::clone(&self.hub);
        self.send_stats().await?;
        if let Some(after) = self.after.take() {
            self.resume(after).await?;
        }
        let alarm = sleep(hub.timing.ping);
        tokio::pin!(alarm);
        loop {
            tokio::select! {
                biased;
                () = hub.stop.cancelled() => return Err(End::Close(close_code::RESTART, "the server is stopping; connect again")),
                message = self.socket.recv() => {
                    let message = message.ok_or(End::Gone)?;
                    if self.receive(message).await? {
                        self.pinged = false;
                        alarm.as_mut().reset(Instant::now() + hub.timing.ping);
                    }
                }
                () = &mut alarm => self.ping(alarm.as_mut()).await?,
                Ok(()) = self.subscription.news.changed() => self.send_news().await?,
                Ok(()) = self.subscription.beat.changed() => {
                    self.check_access().await?;
                    let beat = self.subscription.beat.borrow_and_update().clone();
                    self.send(vec![beat]).await?;
                }
            }
        }
    }

    async fn ping(&mut self, alarm: std::pin::Pin<&mut Sleep>) -> Result<(), End> {
        if self.pinged {
            return Err(End::Gone);
        }
        self.pinged = true;
        alarm.reset(Instant::now() + self.hub.timing.pong);
        let ping = Message::Ping(bytes::Bytes::new());
        timeout(self.hub.timing.send, self.socket.send(ping)).await.map_err(|_| End::Gone)??;
        Ok(())
    }

    /// Ends the session of a client whose token has expired or whose link was revoked.
    async fn check_access(&mut self) -> Result<(), End> {
        let Some(caller) = &self.caller else { return Ok(()) };
        // An outage of the store ends no session.
        match self.hub.app.still_admits(caller).await {
            Ok(false) => Err(End::Close(close_code::POLICY, "the token is no longer accepted")),
            Ok(true) | Err(_) => Ok(()),
        }
    }

    async fn send_stats(&mut self) -> Result<(), End> {
        let (app, site) = (&self.hub.app, &self.subscription.channel.site);
        let stats = match realtime::current(app, site, app.now()).await {
            Ok(now) => message::initial_stats(now),
            Err(_) => message::error("the figures cannot be had now; ask again with refresh_stats"),
        };
        self.send(vec![stats]).await
    }

    /// Sends what the log has next. Not all of it at a time: between two helpings the client
    /// is listened to.
    async fn send_news(&mut self) -> Result<(), End> {
        let reading = self.subscription.channel.log().read(self.next);
        match reading {
            Reading::UpToDate => return Ok(()),
            Reading::Next(placed) => {
                self.next += placed.len() as u64;
                let seen = self.seen;
                let unseen: Vec<_> = placed.into_iter().filter(|placed| Some(placed.position) > seen).collect();
                self.began = self.began.or(unseen.first().map(|placed| placed.position));
                let came: Vec<Instant> = unseen.iter().map(|placed| placed.came).collect();
                self.send(unseen.into_iter().map(|placed| placed.message).collect()).await?;
                let delivery = &self.hub.app.metrics.websocket_delivery_seconds;
                came.into_iter().for_each(|came| delivery.observe(came.elapsed().as_secs_f64()));
            }
            Reading::InStore(position) => self.send_stored(position).await?,
            Reading::TooLate(next) => self.send_gap(next).await?,
        }
        self.subscription.news.mark_changed();
        Ok(())
    }

    /// Sends events from the one at this place on that have gone from memory.
    async fn send_stored(&mut self, first: Position) -> Result<(), End> {
        let before = Position(first.0 - 1).max(self.seen.unwrap_or(Position(0)));
        let page = self.read_after(before).await.unwrap_or_default();
        let Some(last) = page.last().map(|committed| committed.position) else {
            let next = self.subscription.channel.log().next();
            return self.send_gap(next).await;
        };
        self.began = self.began.or(page.first().map(|committed| committed.position));
        self.seen = Some(last);
        self.next = self.subscription.channel.log().next_after(last).max(self.next);
        self.send_events(&page).await
    }

    /// Tells the client that it has missed events, and goes on at the log's entry `next`.
    async fn send_gap(&mut self, next: u64) -> Result<(), End> {
        self.next = next;
        // Places that follow may be those of events that are gone.
        (self.began, self.seen) = (None, None);
        self.hub.app.metrics.websocket_gaps_total.inc();
        self.send(vec![message::gap()]).await
    }

    async fn read_after(&mut self, after: Position) -> Option<Vec<Committed>> {
        let page = self.hub.read_after(&self.subscription.channel.site, after, PAGE).await;
        page.inspect_err(|error| tracing::error!(error = error_text(error), "missed events could not be read")).ok()
    }

    /// Sends events as they come from the store.
    async fn send_events(&mut self, events: &[Committed]) -> Result<(), End> {
        let app = &self.hub.app;
        let Ok(pseudonyms) = app.identity.pseudonyms(self.subscription.channel.of, app.now()).await else {
            return Err(End::Close(close_code::ERROR, "events cannot be shown now"));
        };
        for few in events.chunks(AT_ONCE) {
            self.send(few.iter().map(|committed| message::event(&committed.event, &pseudonyms)).collect()).await?;
        }
        Ok(())
    }

    /// Writes messages, as few times as possible; gives the client up if it does not take them.
    async fn send(&mut self, messages: Vec<Utf8Bytes>) -> Result<(), End> {
        let count = messages.len() as u64;
        let socket = &mut self.socket;
        let all = async {
            for message in messages {
                socket.feed(Message::Text(message)).await?;
            }
            socket.flush().await
        };
        timeout(self.hub.timing.send, all).await.map_err(|_| End::Gone)??;
        self.hub.sent.inc_by(count);
        Ok(())
    }
}
