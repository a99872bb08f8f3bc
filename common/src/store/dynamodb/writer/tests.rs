//! The queue and its answers.

use super::*;
use crate::store::conformance::samples::{at, event};

#[tokio::test]
async fn a_full_queue_is_overload() {
    let (sender, receiver) = mpsc::channel(1);
    let queue = Queue(sender);
    let now = Timestamp::from_millis(0);
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.append(Vec::new(), now).await }
    });
    while queue.0.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    let refused = queue.append(Vec::new(), now).await;
    assert!(matches!(refused, Err(StoreError::Overloaded { .. })), "{refused:?}");
    drop(receiver);
    let closed = queue.append(Vec::new(), now).await;
    assert!(matches!(closed, Err(StoreError::Unavailable { .. })), "{closed:?}");
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn each_request_is_answered_for_its_own_events() {
    let now = at("2025-12-08T10:00:00Z");
    let events = [event("scroll", 1, now), event("scroll", 2, now), event("scroll", 3, now)];
    let [first, second, third] = &events;
    let requests = [vec![first.clone(), first.clone(), second.clone()], vec![second.clone(), third.clone()], vec![]];
    let mut answers = Vec::new();
    let waiting = requests.map(|events| {
        let (answer, answered) = oneshot::channel();
        answers.push(answered);
        Waiting { events, now, since: Instant::now(), answer }
    });
    let (mut group, entries) = Group::new(waiting.into());
    assert_eq!(entries.iter().map(|entry| entry.event.clone()).collect::<Vec<_>>(), events);
    group.outcomes = vec![Some(Appended::Stored), Some(Appended::Stored), None];
    group.error = Some(unavailable("busy"));
    group.answer();
    let mut answers = answers.into_iter();
    let mut next = async || answers.next().unwrap().await.unwrap();
    assert_eq!(next().await.unwrap(), [Appended::Stored, Appended::Duplicate, Appended::Stored]);
    assert!(matches!(next().await, Err(StoreError::Unavailable { .. })), "its third event failed");
    assert_eq!(next().await.unwrap(), []);
}
