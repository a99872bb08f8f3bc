//! Where time, ids and secrets come from. The core is handed them; only the edges ask.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::time::Timestamp;

/// The world outside, as far as the core needs it.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Timestamp;
    /// A fresh id for an event received at `now`; later ones sort later.
    fn event_id(&self, now: Timestamp) -> Uuid;
    /// Thirty-two random bytes.
    fn secret(&self) -> [u8; 32];
}

/// The system's clock and random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

#[allow(clippy::disallowed_methods, reason = "this is the clock")]
impl Source for System {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn event_id(&self, now: Timestamp) -> Uuid {
        let seconds = now.seconds().unsigned_abs();
        let nanos = (now.millis().rem_euclid(1_000) * 1_000_000) as u32;
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::timestamp::context::ContextV7::new(), seconds, nanos))
    }

    /// # Panics
    /// When the system has no random numbers: nothing that follows would be private.
    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        if let Err(error) = getrandom::fill(&mut bytes) {
            panic!("the system has no random numbers: {error}");
        }
        bytes
    }
}

/// A clock that stands until it is moved, and ids and secrets that come in the same order
/// every time: for tests.
#[cfg(feature = "testing")]
#[derive(Debug)]
pub struct Fixed {
    now: std::sync::atomic::AtomicI64,
    next: std::sync::atomic::AtomicU64,
}

#[cfg(feature = "testing")]
impl Fixed {
    /// A source whose clock stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self { now: now.millis().into(), next: 1.into() })
    }

    /// Sets the clock.
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.millis(), std::sync::atomic::Ordering::SeqCst);
    }

    fn count(&self) -> u64 {
        self.next.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
    }
}

#[cfg(feature = "testing")]
impl Source for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn event_id(&self, _now: Timestamp) -> Uuid {
        Uuid::from_u64_pair(0x0190_0000_0000_7000, 0x8000_0000_0000_0000 | self.count())
    }

    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0x5e; 32];
        bytes[..8].copy_from_slice(&self.count().to_be_bytes());
        bytes
    }
}
