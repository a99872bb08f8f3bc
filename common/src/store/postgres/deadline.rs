//! How long a request waits for its events to become durable: one deadline over everything that
//! happens until then, whatever it is that does not come to an end.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout_at;

const WAITS: u8 = 0;
const COMMITTED: u8 = 1;
const GIVEN_UP: u8 = 2;

/// What becomes of a request first: its events are committed, or it does not wait any longer.
#[derive(Debug, Clone, Default)]
pub(super) struct Fate(Arc<AtomicU8>);

impl Fate {
    /// Its events are durable: from now on it is worth waiting for the answer, which is in sight.
    pub(super) fn commit(&self) {
        // Who has given up is told already that nobody knows.
        let _ = self.settle(COMMITTED);
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Acquire) == GIVEN_UP
    }

    fn settle(&self, fate: u8) -> Result<u8, u8> {
        self.0.compare_exchange(WAITS, fate, Ordering::AcqRel, Ordering::Acquire)
    }
}

/// When work that takes longer than a request waits was last seen to get on.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Mutex<Option<Instant>>>);

impl Progress {
    /// It gets on.
    pub(super) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for an answer until the deadline: so long after `since`, or after the last progress.
/// `None` when there was none, and then there will be none.
pub(super) async fn wait<T>(
    mut answer: oneshot::Receiver<T>,
    fate: &Fate,
    progress: &Progress,
    since: Instant,
    within: Duration,
) -> Option<Result<T, oneshot::error::RecvError>> {
    let mut deadline = since + within;
    loop {
        if let Ok(answered) = timeout_at(deadline.into(), &mut answer).await {
            return Some(answered);
        }
        match progress.last().map(|last| last + within) {
            Some(later) if later > deadline => deadline = later,
            _ if fate.settle(GIVEN_UP).is_ok() => return None,
            _ => return Some(answer.await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    /// Answers after some times the deadline, unless it was given up by then.
    async fn answered(after: u32, during: impl Fn(&Fate, &Progress)) -> (Option<u8>, Fate) {
        let (fate, progress) = (Fate::default(), Progress::default());
        let (reply, answer) = oneshot::channel();
        let waiting = {
            let (fate, progress) = (fate.clone(), progress.clone());
            tokio::spawn(async move { wait(answer, &fate, &progress, Instant::now(), SHORT).await })
        };
        for _ in 0..4 * after {
            during(&fate, &progress);
            tokio::time::sleep(SHORT / 4).await;
        }
        let sent = reply.send(7).is_ok();
        let answer = waiting.await.unwrap().map(Result::unwrap);
        assert_eq!(sent, answer.is_some());
        (answer, fate)
    }

    #[tokio::test]
    async fn who_is_not_answered_in_time_gives_up() {
        let (answer, fate) = answered(100, |_, _| ()).await;
        assert_eq!(answer, None);
        assert!(fate.is_given_up());
        fate.commit();
        assert!(fate.is_given_up(), "it was told so");
        let (answer, fate) = answered(0, |_, _| ()).await;
        assert_eq!(answer, Some(7));
        assert!(!fate.is_given_up());
    }

    #[tokio::test]
    async fn what_is_committed_is_waited_for() {
        let (answer, fate) = answered(10, |fate, _| fate.commit()).await;
        assert_eq!(answer, Some(7));
        assert!(!fate.is_given_up());
    }

    #[tokio::test]
    async fn progress_is_worth_waiting() {
        let (fate, progress) = (Fate::default(), Progress::default());
        let (_reply, answer) = oneshot::channel::<u8>();
        let began = Instant::now();
        progress.note();
        // The request itself has waited for an hour.
        let since = began.checked_sub(Duration::from_secs(3_600)).unwrap();
        assert_eq!(wait(answer, &fate, &progress, since, SHORT).await, None);
        assert!(began.elapsed() >= SHORT, "so long since the progress");
    }
}
