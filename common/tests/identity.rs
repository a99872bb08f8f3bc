//! The ids of visitors: the same for a day, not computable afterwards, never shown outside.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::path::Path;

use axum::Router;
use common::site::Site;
use common::store::{Secret, SecretName};
use common::testing::TestApp;
use common::time::{DAY, HOUR, Timestamp};
use common::visitor::VisitorId;

const NOW: &str = "2025-12-08T12:00:00Z";

async fn start() -> TestApp {
    TestApp::start(&[], |_| Router::new(), NOW).await
}

async fn visitor(
    test: &TestApp,
    site: &str,
    address: &str,
    agent: &str,
    event_at: Timestamp,
    now: Timestamp,
) -> VisitorId {
    let address: IpAddr = address.parse().unwrap();
    test.app.identity.visitor(&Site::parse(site).unwrap(), address, agent, event_at.day(), now).await.unwrap()
}

#[tokio::test]
async fn a_visitor_is_one_for_a_day_on_a_site() {
    let test = start().await;
    let now = Timestamp::parse(NOW).unwrap();
    let first = visitor(&test, "a", "198.18.0.1", "Firefox", now, now).await;
    assert_eq!(first, visitor(&test, "a", "::ffff:198.18.0.1", "Firefox", now, now.plus(HOUR)).await);
    assert_eq!(first, visitor(&test, "a", "198.18.0.1", "Firefox", now, now.plus(DAY)).await, "a late event");
    for (site, address, agent, at) in [
        ("b", "198.18.0.1", "Firefox", now),
        ("a", "198.18.0.2", "Firefox", now),
        ("a", "198.18.0.1", "Chrome", now),
        ("a", "198.18.0.1", "Firefox", now.plus(DAY)),
    ] {
        assert_ne!(first, visitor(&test, site, address, agent, at, now).await);
    }
}

#[tokio::test]
async fn parts_of_a_name_cannot_be_moved_between_them() {
    let test = start().await;
    let now = Timestamp::parse(NOW).unwrap();
    let one = visitor(&test, "a", "198.18.0.1", "1x", now, now).await;
    assert_ne!(one, visitor(&test, "a", "198.18.0.1", "x1", now, now).await);
    assert_ne!(one, visitor(&test, "a", "198.18.0.11", "x", now, now).await);
}

/// All bytes of the store's files.
fn bytes(folder: &Path) -> Vec<u8> {
    std::fs::read_dir(folder).unwrap().flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn salts_are_destroyed_after_48_hours_without_a_trace() {
    let test = start().await;
    let now = Timestamp::parse(NOW).unwrap();
    let before = visitor(&test, "a", "198.18.0.1", "Firefox", now, now).await;
    let unused = Secret { bytes: [0; 32], expires: None };
    let salt = test.app.store.secret(SecretName::Salt(now.day()), unused, now).await.unwrap();
    let end = now.day().start().plus(2 * DAY);
    assert_eq!(salt.expires, Some(end));
    assert!(holds(&bytes(test.folder.path()), &salt.bytes), "the test can see a salt that is there");

    assert_eq!(test.app.identity.destroy_expired(end.plus(-1)).await.unwrap(), 0);
    assert_eq!(test.app.identity.destroy_expired(end).await.unwrap(), 1);
    assert!(!holds(&bytes(test.folder.path()), &salt.bytes), "not in the file, not in the log");
    let after = visitor(&test, "a", "198.18.0.1", "Firefox", now, end).await;
    assert_ne!(before, after, "it cannot be computed again");
}

/// A reader whose snapshot is older than the destruction keeps the log, and the salt in it.
#[tokio::test]
async fn salts_are_destroyed_once_no_reader_is_in_the_way() {
    let test = start().await;
    let now = Timestamp::parse(NOW).unwrap();
    visitor(&test, "a", "198.18.0.1", "Firefox", now, now).await;
    let unused = Secret { bytes: [0; 32], expires: None };
    let salt = test.app.store.secret(SecretName::Salt(now.day()), unused, now).await.unwrap();
    let end = now.day().start().plus(2 * DAY);
    let file =
        test.folder.path().read_dir().unwrap().find(|file| file.as_ref().unwrap().path().extension().unwrap() == "db");
    let reader = rusqlite::Connection::open(file.unwrap().unwrap().path()).unwrap();
    reader.execute_batch("begin; select * from meta").unwrap();
    assert!(test.app.identity.destroy_expired(end).await.is_err(), "it is said that it is not done");
    assert!(holds(&bytes(test.folder.path()), &salt.bytes));
    reader.execute_batch("commit").unwrap();
    test.app.identity.destroy_expired(end.plus(1)).await.unwrap();
    assert!(!holds(&bytes(test.folder.path()), &salt.bytes), "not in the file, not in the log");
}

#[tokio::test]
async fn secrets_are_not_shown_by_debug() {
    let secret = Secret { bytes: [0xab; 32], expires: None };
    assert_eq!(format!("{secret:?}"), "Secret { expires: None, .. }");
}
