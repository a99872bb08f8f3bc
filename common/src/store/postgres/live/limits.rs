//! Token buckets that all instances share.
//!
//! A bucket is charged before a request goes on, with one exception: a bucket that was at least half
//! full a moment ago is charged a moment later, many buckets in one call, whatever is left in them
//! then. So a busy sender costs Redis next to nothing and never waits for it, and a sender near the
//! limit is counted to the token.
//! Several instances can let pass more than a bucket holds only while a sender spends half of it
//! on each of them within [`FRESH`], and then by half a bucket each.
//!
//! No request waits for Redis longer than a moment (`Options::limit_within`). One whose answer has not
//! come by then is judged by the process's own buckets, and so are those of the next second once that
//! has happened [`SLOW`] times in a row; Redis is charged all the same, as soon as it gets there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use foldhash::fast::RandomState;
use redis::{Cmd, Pipeline, Value};
use tokio::sync::Notify;
use tokio::time::error::Elapsed;

use super::keys;
use super::link::Link;
use super::script::call;
use crate::store::{Bucket, SharedLimits};

/// For how long an answer of Redis about a bucket is used.
const FRESH: Duration = Duration::from_secs(1);
/// How long charges are gathered: a fifth of [`FRESH`].
const GATHER_DELAY: Duration = Duration::from_millis(200);
/// How long an empty bucket takes to be full.
const REFILL: Duration = Duration::from_secs(60);
/// Buckets that hold less than twice this are always asked.
const MIN_CACHED: u32 = 32;
/// Of how many buckets something is known at most: some 2 MB.
const MOST_KNOWN: usize = 20_000;
/// After how many answers in a row that came late nothing waits for one.
const SLOW: u32 = 3;
/// How many buckets one call charges at most: Redis does nothing else meanwhile.
const MOST_CHARGED: usize = 128;

/// Buckets in Redis, by Redis's own clock: instances need not agree on the time.
#[derive(Debug)]
pub(super) struct Buckets {
    link: Arc<Link>,
    /// Whether what is owed is sent in the background; if not, every charge is a call.
    background: bool,
    /// How long a request may wait for an answer.
    within: Duration,
    known: Mutex<HashMap<Bucket, Known, RandomState>>,
    owing: Notify,
    late: Mutex<Late>,
}

/// Answers in a row that came late, and when the last one did.
#[derive(Debug, Default)]
struct Late {
    answers: u32,
    last: Option<Instant>,
}

/// What is known of a bucket.
#[derive(Debug)]
struct Known {
    /// When Redis last answered about it, if it has.
    said: Option<Instant>,
    /// When it will be full again, as far as this process can tell.
    full: Instant,
    /// What Redis was not charged yet.
    owed: u32,
}

impl Buckets {
    pub(super) fn new(link: Arc<Link>, background: bool, within: Duration) -> Self {
        let (known, late) = (Mutex::default(), Mutex::default());
        Self { link, background, within, known, owing: Notify::new(), late }
    }

    fn late(&self) -> MutexGuard<'_, Late> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether answers come late now. A second later another request tries.
    fn is_slow(&self, now: Instant) -> bool {
        let late = self.late();
        late.answers >= SLOW && late.last.is_some_and(|last| last + FRESH > now)
    }

    /// Sends commands, the last of which charges a bucket; answers what Redis says of that: after how many
    /// seconds there is enough, and after how many microseconds it is full. An error if that comes late.
    async fn ask(&self, commands: &Pipeline) -> Result<Option<(u64, u64)>, Elapsed> {
        let answers = tokio::time::timeout(self.within, self.link.ask("limit", commands)).await;
        let mut late = self.late();
        *late = match answers {
            Ok(_) => Late::default(),
            Err(_) => Late { answers: late.answers.saturating_add(1), last: Some(Instant::now()) },
        };
        Ok(answers?.ok().and_then(|answers| read(answers.last()?).next()))
    }

    /// Decides without an answer of Redis. The charge was sent to it already or, if `owed`, is sent later.
    /// Refuses if the bucket is known to be empty; otherwise `None`.
    fn judge(&self, bucket: Bucket, tokens: u32, owed: bool, now: Instant) -> Option<Result<(), u64>> {
        let mut all = self.known();
        let room = all.len() < MOST_KNOWN;
        let known = match all.entry(bucket) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) if room => place.insert(Known { said: None, full: now, owed: 0 }),
            Entry::Vacant(_) => return None,
        };
        let full = known.full.max(now) + refill(bucket, tokens);
        let wait = full.saturating_duration_since(now + REFILL);
        if !wait.is_zero() {
            return Some(Err(u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(1)));
        }
        known.full = full;
        if owed && self.background {
            known.owed = known.owed.saturating_add(tokens);
            drop(all);
            self.owing.notify_one();
        }
        None
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Bucket, Known, RandomState>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the tokens of a bucket that has plenty; answers whether it does.
    fn owe(&self, bucket: Bucket, tokens: u32, now: Instant) -> bool {
        let mut all = self.known();
        let Some(known) = all.get_mut(&bucket) else { return false };
        let full = known.full.max(now) + refill(bucket, tokens);
        let enough = REFILL.saturating_sub(refill(bucket, MIN_CACHED.max(bucket.most / 2)));
        if known.said.is_none_or(|said| said + FRESH < now) || full > now + enough {
            return false;
        }
        known.full = full;
        known.owed = known.owed.saturating_add(tokens);
        let is_first = known.owed == tokens;
        drop(all);
        if is_first {
            self.owing.notify_one();
        }
        true
    }

    /// What Redis has to be charged first.
    fn take_owed(&self, bucket: Bucket) -> u32 {
        self.known().get_mut(&bucket).map_or(0, |known| std::mem::take(&mut known.owed))
    }

    /// Charges buckets of one name.
    fn command(&self, charges: &[(Bucket, u32)], are_owed: bool) -> Cmd {
        let keys: Vec<String> = charges.iter().map(|(bucket, _)| keys::bucket(bucket.name, bucket.key)).collect();
        let mut charge = call(&self.link.scripts.charge, &keys);
        charge.arg(u8::from(are_owed));
        for (bucket, tokens) in charges {
            charge.arg(bucket.most).arg(tokens.min(&bucket.most));
        }
        charge
    }

    /// Notes in how many microseconds a bucket will be full.
    fn learn(&self, bucket: Bucket, micros: u64, now: Instant) {
        if !self.background {
            return;
        }
        let mut all = self.known();
        let room = all.len() < MOST_KNOWN;
        let known = match all.entry(bucket) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) if room => place.insert(Known { said: None, full: now, owed: 0 }),
            Entry::Vacant(_) => return,
        };
        known.said = Some(now);
        known.full = now + Duration::from_micros(micros) + refill(bucket, known.owed);
    }

    /// Sends what is owed, and forgets what is old, for as long as it is polled.
    pub(super) async fn send(&self) {
        loop {
            if tokio::time::timeout(FRESH, self.owing.notified()).await.is_ok() {
                tokio::time::sleep(GATHER_DELAY).await;
            }
            let now = Instant::now();
            let mut owed = Vec::new();
            self.known().retain(|bucket, known| {
                if known.owed > 0 {
                    owed.push((*bucket, std::mem::take(&mut known.owed)));
                }
                known.said.is_some_and(|said| said + FRESH >= now) || known.full > now
            });
            // Buckets of one name are in one slot.
            owed.sort_unstable_by_key(|(bucket, _)| bucket.name);
            let calls = owed.chunk_by(|(a, _), (b, _)| a.name == b.name).flat_map(|same| same.chunks(MOST_CHARGED));
            for charges in calls {
                // While Redis is away each process has buckets of its own: nothing is owed then.
                let Ok(answer) = self.link.ask_one("limit", self.command(charges, true)).await else { break };
                for ((bucket, _), (_, full)) in charges.iter().zip(read(&answer)) {
                    self.learn(*bucket, full, Instant::now());
                }
            }
        }
    }
}

/// How long a bucket takes to gain so many tokens.
fn refill(bucket: Bucket, tokens: u32) -> Duration {
    let nanos = u128::from(tokens) * REFILL.as_nanos() / u128::from(bucket.most.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The answer of `charge.lua`, for each bucket: after how many seconds there will be enough, and
/// after how many microseconds the bucket will be full.
fn read(answer: &Value) -> impl Iterator<Item = (u64, u64)> {
    let numbers = if let Value::Array(numbers) = answer { numbers.as_slice() } else { &[] };
    numbers.chunks_exact(2).map_while(|pair| match pair {
        [Value::Int(wait), Value::Int(full)] => Some((wait.unsigned_abs(), full.unsigned_abs())),
        _ => None,
    })
}

#[async_trait]
impl SharedLimits for Buckets {
    async fn charge(&self, bucket: Bucket, tokens: u32) -> Option<Result<(), u64>> {
        if !self.background {
            // Nothing else looks whether Redis is back.
            self.link.probe().await;
        }
        if self.link.is_open() {
            return None;
        }
        if self.charge_at_once(bucket, tokens) {
            return Some(Ok(()));
        }
        let bucket = Bucket { most: bucket.most.max(1), ..bucket };
        if self.is_slow(Instant::now()) {
            return self.judge(bucket, tokens, true, Instant::now());
        }
        let mut pipeline = Pipeline::with_capacity(2);
        let owed = self.take_owed(bucket);
        if owed > 0 {
            pipeline.add_command(self.command(&[(bucket, owed)], true));
        }
        pipeline.add_command(self.command(&[(bucket, tokens)], false));
        let Ok(answer) = self.ask(&pipeline).await else {
            return self.judge(bucket, tokens, false, Instant::now());
        };
        let (wait, full) = answer?;
        self.learn(bucket, full, Instant::now());
        Some(if wait == 0 { Ok(()) } else { Err(wait) })
    }

    fn charge_at_once(&self, bucket: Bucket, tokens: u32) -> bool {
        let bucket = Bucket { most: bucket.most.max(1), ..bucket };
        self.background && !self.link.is_open() && self.owe(bucket, tokens.min(bucket.most), Instant::now())
    }
}
