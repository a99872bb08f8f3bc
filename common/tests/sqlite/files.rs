//! What can happen to the files of a store, and what is said then.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::collect::error_text;
use common::config::Config;
use common::event::Event;
use common::measure::facts::{Client, ClientFields};
use common::measure::service::Service;
use common::metrics::Metrics;
use common::store::conformance::samples::{at, event, on_page, put, quiet, site, visitor, with_data};
use common::store::roles::*;
use common::store::sqlite::{Sqlite, backup, restore};
use common::store::{Appended, Secret, SecretName, StoreError, TimelineFrom};
use common::time::{DAY, Timestamp};
use common::visitor_data::Erased;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

fn now() -> Timestamp {
    at("2025-12-08T10:00:00Z")
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().unwrap())
}

async fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, metrics()).await.unwrap()
}

/// What opening a store says that cannot be opened.
async fn refused(opened: impl Future<Output = Result<Sqlite, StoreError>>) -> String {
    error_text(&opened.await.unwrap_err())
}

async fn append(store: &Sqlite, events: usize) {
    for _ in 0..events {
        put(store, &[event("page_view", 1, now())]).await;
    }
}

async fn count(store: &Sqlite) -> usize {
    store.timeline(&site(), TimelineFrom::all(0), 1_000).await.unwrap().len()
}

fn beside(path: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", path.display()))
}

/// A folder and the path of a store in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("analytics.db");
    (folder, path)
}

/// A store with three events, and a backup of it.
async fn backed_up() -> (TempDir, PathBuf, Sqlite, PathBuf) {
    let (folder, path) = place();
    let store = open(&path).await;
    append(&store, 3).await;
    let file = folder.path().join("backup.db");
    backup(&path, &file, now(), &*quiet()).unwrap();
    (folder, path, store, file)
}

/// Copies the files of a store as a crash would leave them.
fn copy(from: &Path, to: &Path, ends: &[&str]) {
    for end in ends {
        fs::copy(beside(from, end), beside(to, end)).unwrap();
    }
}

#[tokio::test]
async fn a_backup_of_a_store_in_use_has_all_and_no_secrets() {
    let (folder, path) = place();
    let store = open(&path).await;
    append(&store, 50).await;
    let salt = Secret { bytes: [0xa7; 32], expires: None };
    store.secret(SecretName::Pseudonyms, salt, now()).await.unwrap();
    let file = folder.path().join("backup.db");
    let recount = backup(&path, &file, now(), &*quiet()).unwrap();
    assert_eq!((recount.events, recount.different), (50, 0));
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(32).any(|window| window == salt.bytes), "the key of pseudonyms is in the backup");
    assert!(!beside(&file, "-wal").exists() && !beside(&file, ".partial").exists());
    let again = error_text(&backup(&path, &file, now(), &*quiet()).unwrap_err());
    assert!(again.contains("exists already"), "{again}");
    // Nothing that is appended later is in it.
    append(&store, 1).await;
    let other = folder.path().join("other.db");
    restore(&file, &other, false, now(), &*quiet()).unwrap();
    let restored = open(&other).await;
    assert_eq!(count(&restored).await, 50);
    let fresh = Secret { bytes: [1; 32], expires: None };
    assert_eq!(restored.secret(SecretName::Pseudonyms, fresh, now()).await.unwrap(), fresh);
    append(&restored, 1).await;
    assert_eq!(restored.verify(now(), quiet()).await.unwrap().different, 0);
}

#[tokio::test]
async fn a_backup_while_events_arrive_is_one_state() {
    let (folder, path) = place();
    let store = Arc::new(open(&path).await);
    let appending = tokio::spawn({
        let store = Arc::clone(&store);
        async move { append(&store, 300).await }
    });
    for number in 0..3 {
        let (path, file) = (path.clone(), folder.path().join(format!("{number}.db")));
        let made = tokio::task::spawn_blocking(move || backup(&path, &file, now(), &*quiet()).unwrap());
        assert_eq!(made.await.unwrap().different, 0);
    }
    appending.await.unwrap();
}

#[tokio::test]
async fn indexes_are_compacted_after_an_import_unless_another_process_has_the_store() {
    let (_folder, path) = place();
    let store = open(&path).await;
    let events: Vec<Event> =
        (0..5_000).map(|number| Event { id: Uuid::from_u128(number), ..event("page_view", 1, now()) }).collect();
    for batch in events.chunks(100) {
        put(&store, batch).await;
    }
    let bytes = async |store: &Sqlite| store.used_bytes().await.unwrap().unwrap();
    // What the log has is in the file then.
    store.close().await;
    drop(store);

    let store = open(&path).await;
    let before = bytes(&store).await;
    store.compact(1_000).await.unwrap();
    assert_eq!(bytes(&store).await, before, "a fifth of the events is not worth it");
    let other = open(&path).await;
    store.compact(5_000).await.unwrap();
    assert_eq!(bytes(&store).await, before, "another process has the store open");
    other.close().await;
    drop(other);
    store.compact(5_000).await.unwrap();
    assert!(bytes(&store).await + 4 * 5_000 < before, "{} after {before}", bytes(&store).await);

    assert_eq!(count(&store).await, 1_000);
    assert_eq!(store.verify(now(), quiet()).await.unwrap().different, 0);
    let again = store.append(events[..1].to_vec(), now()).await.unwrap();
    assert_eq!(again, [Appended::Duplicate], "ids are still found");
    append(&open(&path).await, 1).await;
}

#[tokio::test]
async fn a_restore_replaces_all_files_and_only_when_asked() {
    let (_folder, path, store, file) = backed_up().await;
    append(&store, 4).await;
    let tried = |force| error_text(&restore(&file, &path, force, now(), &*quiet()).unwrap_err());
    assert!(tried(true).contains("open in another process"), "{}", tried(true));
    store.close().await;
    drop(store);
    assert!(tried(false).contains("--force"), "{}", tried(false));
    let store = open(&path).await;
    assert_eq!(count(&store).await, 7, "a restore that is refused changes nothing");
    // A crash leaves a log.
    let (_crashed, crashed) = place();
    copy(&path, &crashed, &["", "-wal", "-shm"]);
    restore(&file, &crashed, true, now(), &*quiet()).unwrap();
    assert!(!beside(&crashed, "-wal").exists() && !beside(&crashed, "-shm").exists());
    assert_eq!(count(&open(&crashed).await).await, 3);
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_left_alone() {
    let (_folder, path) = place();
    let store = open(&path).await;
    append(&store, 3).await;
    store.close().await;
    drop(store);
    let migrated = "insert into refinery_schema_history select version + 100, 'later', applied_on, checksum
                    from refinery_schema_history limit 1";
    rusqlite::Connection::open(&path).unwrap().execute(migrated, []).unwrap();
    let told = refused(Sqlite::open(&path, metrics())).await;
    assert!(told.contains("newer version"), "{told}");
}

/// Services run as users of their own, and root restores.
#[tokio::test]
async fn a_restored_store_has_the_owner_of_the_old_one_or_of_the_folder() {
    use std::os::unix::fs::{MetadataExt, chown};
    let (folder, path, store, file) = backed_up().await;
    store.close().await;
    drop(store);
    // Others than root can give nothing away: then all of it is and stays their own.
    let _ = chown(&path, Some(65_534), None);
    let owner = fs::metadata(&path).unwrap().uid();
    restore(&file, &path, true, now(), &*quiet()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().uid(), owner);

    fs::remove_file(&path).unwrap();
    let _ = chown(folder.path(), Some(65_534), None);
    restore(&file, &path, false, now(), &*quiet()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().uid(), fs::metadata(folder.path()).unwrap().uid());
}

/// Commands of root make nothing that the service cannot open.
#[tokio::test]
async fn a_new_store_and_what_is_beside_it_have_the_owner_of_the_folder() {
    use std::os::unix::fs::{MetadataExt, chown};
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();
    let (folder, _) = place();
    let _ = chown(folder.path(), Some(65_534), None);
    let path = folder.path().join("data/analytics.db");
    let store = open(&path).await;
    append(&store, 3).await;
    for made in [path.parent().unwrap().to_owned(), beside(&path, "-wal"), beside(&path, "-shm"), path.clone()] {
        assert_eq!(owner(&made), owner(folder.path()), "{}", made.display());
    }
    store.close().await;
    drop(store);
    fs::remove_file(beside(&path, "-lock")).unwrap();
    assert_eq!(count(&open(&path).await).await, 3);
    assert_eq!(owner(&beside(&path, "-lock")), owner(&path));
}

#[tokio::test]
async fn a_damaged_store_can_be_replaced() {
    let (_folder, path, store, file) = backed_up().await;
    store.close().await;
    drop(store);
    fs::write(&path, "no database ".repeat(1_000)).unwrap();
    fs::write(beside(&path, "-wal"), "no log").unwrap();
    let told = refused(Sqlite::open(&path, metrics())).await;
    assert!(told.contains("damaged") && told.contains("restore"), "{told}");
    restore(&file, &path, true, now(), &*quiet()).unwrap();
    assert_eq!(count(&open(&path).await).await, 3);
}

#[tokio::test]
async fn what_is_no_backup_is_not_restored() {
    let (folder, path) = place();
    let (foreign, empty) = (folder.path().join("foreign.db"), folder.path().join("empty.db"));
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("create table t (x)").unwrap();
    fs::write(&empty, "").unwrap();
    let damaged = folder.path().join("damaged.db");
    fs::write(&damaged, "x".repeat(9_000)).unwrap();
    for file in [foreign, empty, damaged, folder.path().join("absent.db"), folder.path().to_owned()] {
        assert!(restore(&file, &path, true, now(), &*quiet()).is_err(), "{}", file.display());
        assert!(!path.exists(), "{}", file.display());
    }
}

#[tokio::test]
async fn a_crash_loses_nothing() {
    let (_folder, path) = place();
    let store = open(&path).await;
    for appended in 1..5 {
        // A new place each time: readers of the one before may still be closing its files.
        let (_crashed, crashed) = place();
        append(&store, 1).await;
        // The log first: a checkpoint in between moves what the copied log has into the file.
        copy(&path, &crashed, &["-wal", ""]);
        let after = open(&crashed).await;
        assert_eq!(count(&after).await, appended);
        after.close().await;
    }
}

/// A copy of yesterday beside the log of today.
#[tokio::test]
async fn a_log_of_another_file_is_refused() {
    let (_folder, path) = place();
    let store = open(&path).await;
    append(&store, 3).await;
    store.close().await;
    drop(store);
    let (_mixed, mixed) = place();
    copy(&path, &mixed, &[""]);
    let store = open(&path).await;
    append(&store, 3).await;
    copy(&path, &mixed, &["-wal"]);
    let before = (fs::read(&mixed).unwrap(), fs::read(beside(&mixed, "-wal")).unwrap());
    for opened in [Sqlite::open(&mixed, metrics()).await, Sqlite::open_existing(&mixed, metrics()).await] {
        let told = error_text(&opened.unwrap_err());
        assert!(told.contains("does not belong") && told.contains("-wal"), "{told}");
    }
    assert_eq!((fs::read(&mixed).unwrap(), fs::read(beside(&mixed, "-wal")).unwrap()), before, "nothing was changed");
    // What it says to do helps.
    fs::remove_file(beside(&mixed, "-wal")).unwrap();
    assert_eq!(count(&open(&mixed).await).await, 3);
}

#[tokio::test]
async fn a_backup_beside_an_old_log_is_refused() {
    let (_folder, path, store, file) = backed_up().await;
    append(&store, 3).await;
    copy(&path, &file, &["-wal"]);
    let told = refused(Sqlite::open(&file, metrics())).await;
    assert!(told.contains("does not belong"), "{told}");
}

#[tokio::test]
async fn a_file_that_was_copied_without_its_log_is_noticed() {
    let (_folder, path) = place();
    let store = open(&path).await;
    append(&store, 3).await;
    let (_copied, copied) = place();
    copy(&path, &copied, &[""]);
    let told = refused(Sqlite::open_existing(&copied, metrics())).await;
    assert!(told.contains("copied without") && told.contains("backup"), "{told}");
    let told = error_text(&backup(&copied, &beside(&copied, ".backup"), now(), &*quiet()).unwrap_err());
    assert!(told.contains("copied without"), "{told}");
    // Served once, it is accepted as it is.
    open(&copied).await.close().await;
    Sqlite::open_existing(&copied, metrics()).await.unwrap();
    // A file whose process ended in good order is whole.
    store.close().await;
    let (_whole, whole) = place();
    copy(&path, &whole, &[""]);
    assert_eq!(count(&Sqlite::open_existing(&whole, metrics()).await.unwrap()).await, 3);
}

#[tokio::test]
async fn a_store_that_is_not_there_is_not_created() {
    let (folder, path) = place();
    let missing = |error: StoreError| matches!(error, StoreError::Missing { .. });
    assert!(missing(Sqlite::open_existing(&path, metrics()).await.unwrap_err()));
    let deep = folder.path().join("not/there/analytics.db");
    assert!(missing(Sqlite::open_existing(&deep, metrics()).await.unwrap_err()));
    assert!(missing(backup(&path, &beside(&path, ".backup"), now(), &*quiet()).unwrap_err()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
    fs::write(&path, "").unwrap();
    assert!(missing(Sqlite::open_existing(&path, metrics()).await.unwrap_err()), "an empty file is no store");
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let (_folder, path) = place();
    rusqlite::Connection::open(&path).unwrap().execute_batch("create table events (x)").unwrap();
    let before = fs::read(&path).unwrap();
    for told in [refused(Sqlite::open(&path, metrics())).await, refused(Sqlite::open_existing(&path, metrics())).await]
    {
        assert!(told.contains("another program"), "{told}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// Byte 18 of the file says that it may only be read, by any user.
#[tokio::test]
async fn a_store_that_cannot_be_written_is_not_opened() {
    let (_folder, path) = place();
    open(&path).await.close().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[18] = 3;
    fs::write(&path, bytes).unwrap();
    let told = refused(Sqlite::open(&path, metrics())).await;
    assert!(told.contains("cannot be written") && told.contains("analytics.db"), "{told}");
}

#[tokio::test]
async fn a_file_that_was_removed_takes_no_events() {
    let faults: [fn(&Path, &Path); 3] = [
        |file, _| fs::remove_file(file).unwrap(),
        |file, elsewhere| fs::rename(file, elsewhere).unwrap(),
        |file, elsewhere| {
            fs::copy(file, elsewhere).unwrap();
            fs::rename(elsewhere, file).unwrap();
        },
    ];
    for (fault, end) in faults.into_iter().flat_map(|fault| [(fault, ""), (fault, "-wal")]) {
        let (_folder, path) = place();
        let store = open(&path).await;
        append(&store, 1).await;
        store.check().await.unwrap();
        fault(&beside(&path, end), &beside(&path, "-elsewhere"));
        let told = error_text(&store.check().await.unwrap_err());
        assert!(told.contains("removed or replaced"), "{told}");
        let appended = store.append(vec![event("scroll", 1, now())], now()).await;
        assert!(matches!(appended, Err(StoreError::Unavailable { .. })), "{appended:?}");
    }
}

#[tokio::test]
async fn damage_is_reported_until_the_end() {
    let (_folder, path) = place();
    let store = open(&path).await;
    append(&store, 3).await;
    store.close().await;
    drop(store);
    let root: u16 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("select rootpage from sqlite_schema where name = 'events'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let page = usize::from(root) * 4_096;
    bytes[page - 4_096..page].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let store = open(&path).await;
    store.check().await.unwrap();
    let told = error_text(&store.append(vec![event("scroll", 1, now())], now()).await.unwrap_err());
    assert!(told.contains("damaged") && told.contains("restore"), "{told}");
    for _ in 0..2 {
        let told = error_text(&store.check().await.unwrap_err());
        assert!(told.contains("damaged"), "{told}");
    }
}

/// In pages that became free as little as in those that are still used.
#[tokio::test]
async fn what_a_retention_run_deleted_is_in_no_file() {
    const MARK: &str = "left-behind";
    let (_folder, path) = place();
    let store = open(&path).await;
    let old = now().plus(-100 * DAY);
    let events = (0..300).map(|number| {
        let text = MARK.repeat(if number % 50 == 0 { 500 } else { 1 });
        let event = with_data(event(MARK, number, old), &json!({ "text": text }));
        on_page(event, &format!("/{MARK}/{number}"))
    });
    put(&store, &events.collect::<Vec<_>>()).await;
    append(&store, 3).await;
    let holds = |end: &str| fs::read(beside(&path, end)).unwrap().windows(MARK.len()).any(|it| it == MARK.as_bytes());
    assert!(holds("") || holds("-wal"));
    while !store.delete_before(now().day().plus(-90), now()).await.unwrap().done {}
    store.cleaned(now()).await.unwrap();
    assert_eq!(count(&store).await, 3);
    assert!(!holds("") && !holds("-wal"));
}

/// Pages were split and blocks replaced meanwhile: no older copy of the visitor or of their pages remains.
#[tokio::test]
async fn an_erased_visitor_leaves_the_files() {
    let (folder, path) = place();
    let store = open(&path).await;
    let service = Service::new(&Config::from_vars([]).unwrap());
    // Ids and addresses in no order, so that the trees are split everywhere.
    let number = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let events: Vec<Event> = (1..=6_000_u64)
        .map(|n| {
            let who = 1 + n % 60;
            let ago = (n / 60 % 3) as i64 * DAY;
            let page = format!("/{:016x}/of-{}", number(n), number(who));
            let mut event = on_page(event("page_view", number(who), now().plus(-ago - n as i64 * 1_000)), &page);
            event.id = Uuid::from_u64_pair(number(n), n);
            event.facts.client = Client::new(&ClientFields { explicit: true, ..ClientFields::default() });
            event
        })
        .collect();
    for events in events.chunks(600) {
        put(&store, events).await;
        // Blocks are made, and made again when late events have come.
        service.summarise(&store, now()).await.unwrap();
    }
    let all = |folder: &Path| -> Vec<u8> {
        fs::read_dir(folder).unwrap().flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    };
    let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    for who in 1..=3 {
        let page = format!("/of-{}", number(who));
        let visitor = visitor(number(who));
        let before = all(folder.path());
        assert!(holds(&before, page.as_bytes()) && holds(&before, visitor.as_bytes()), "it can be seen");
        let mut erased = Erased::default();
        service.erase(&store, &site(), visitor, now(), &mut erased).await.unwrap();
        assert_eq!((erased.events, erased.days), (100, 3));
        let after = all(folder.path());
        assert!(!holds(&after, page.as_bytes()), "an address");
        assert!(!holds(&after, visitor.as_bytes()), "a visitor");
    }
}
