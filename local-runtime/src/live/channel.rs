//! One site's live feed inside the process: what its clients share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use common::identity::PseudonymOf;
use common::site::Site;
use tokio::sync::watch;

use super::log::Log;

/// The log of the latest events, and two notifications: one for new events, one for the heartbeat.
/// Clients read the log at their own pace; a slow one delays no other and costs no memory.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) site: Site,
    /// What the events that its clients are shown can be linked by.
    pub(super) of: PseudonymOf,
    log: Mutex<Log>,
    unheard: AtomicBool,
    news: watch::Sender<()>,
    beat: watch::Sender<Utf8Bytes>,
}

impl Channel {
    /// A channel without clients.
    pub(super) fn new(site: Site, of: PseudonymOf) -> Self {
        Self {
            site,
            of,
            log: Mutex::default(),
            unheard: AtomicBool::new(false),
            news: watch::Sender::default(),
            beat: watch::Sender::default(),
        }
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the log; the clients hear of it at the next [`Self::ring`].
    pub(super) fn write(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.log());
        self.unheard.store(true, Ordering::Release);
    }

    /// Tells the clients that there is news, if there is.
    pub(super) fn ring(&self) {
        if self.unheard.swap(false, Ordering::AcqRel) {
            self.news.send_replace(());
        }
    }

    /// Sends all clients the same heartbeat.
    pub(super) fn beat(&self, heartbeat: Utf8Bytes) {
        self.beat.send_replace(heartbeat);
    }

    /// The two bells, for one more client.
    pub(super) fn listen(&self) -> (watch::Receiver<()>, watch::Receiver<Utf8Bytes>) {
        (self.news.subscribe(), self.beat.subscribe())
    }
}
