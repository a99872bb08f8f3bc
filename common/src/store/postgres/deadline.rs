//! How long a request waits for its events to become durable: one deadline over everything that
//! happens until then. A request that gives up drops its receiver, and the writer skips it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// When work that takes longer than a request waits last made progress.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Mutex<Option<Instant>>>);

impl Progress {
    /// Notes progress now.
    pub(super) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for an answer until the deadline: so long after `since`, or after the last progress.
/// `None` when there was none; then no later one is received.
pub(super) async fn wait<T>(
    mut answer: oneshot::Receiver<T>,
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
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_request_that_timed_out_is_seen_to_be_gone() {
        let (reply, answer) = oneshot::channel();
        let waiting = tokio::spawn(async move { wait(answer, &Progress::default(), Instant::now(), SHORT).await });
        assert_eq!(waiting.await.unwrap(), None);
        assert!(reply.is_closed());
        assert_eq!(reply.send(7), Err(7));
        let (reply, answer) = oneshot::channel();
        reply.send(7).unwrap();
        assert_eq!(wait(answer, &Progress::default(), Instant::now(), SHORT).await, Some(Ok(7)));
    }

    #[tokio::test]
    async fn progress_extends_the_deadline() {
        let progress = Progress::default();
        let (_reply, answer) = oneshot::channel::<u8>();
        let began = Instant::now();
        progress.note();
        // The request itself has waited for an hour.
        let since = began.checked_sub(Duration::from_secs(3_600)).unwrap();
        assert_eq!(wait(answer, &progress, since, SHORT).await, None);
        assert!(began.elapsed() >= SHORT, "so long since the progress");
    }
}
