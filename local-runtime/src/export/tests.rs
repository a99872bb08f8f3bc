use std::path::PathBuf;
use std::sync::Arc;

use common::event::{Event, EventData};
use common::event_type::EventType;
use common::measure::facts::Facts;
use common::period::{Period, PeriodKey};
use common::site::Site;
use common::source::Fixed;
use common::store::Progress;
use common::time::{HOUR, SECOND, Timestamp};
use common::url::Url;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::import::events;
use crate::import::input::Input;
use crate::testing::app_with;

fn now() -> Timestamp {
    Timestamp::parse("2025-12-08T12:00:00Z").unwrap()
}

async fn home() -> (App, TempDir) {
    app_with(&[], Fixed::at(now())).await
}

/// Event number `n` of a few days, sites, visitors and kinds; every third has the time of the
/// one before.
fn event(n: u64) -> Event {
    let data = serde_json::json!({"theme": format!("t{}", n % 4), "x": (n % 100) as f64 * 0.7, "y": n % 101});
    Event {
        id: Uuid::from_u128(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        site: Site::parse(["a", "default", "z.example"][(n % 3) as usize]).unwrap(),
        visitor: Uuid::from_u128(u128::from(n % 17)).into(),
        event_type: [EventType::PageView, EventType::ButtonClick, EventType::Custom("own".into())][(n % 3) as usize]
            .clone(),
        data: EventData::new(data.as_object().unwrap()).unwrap(),
        page_url: Some(Url::new(&format!("/cv/{}?theme=x&no=1", n % 5))),
        referrer: n.is_multiple_of(2).then(|| Url::new("https://search.example/")),
        created_at: now().plus(-((n - n % 3) as i64) * HOUR / 7),
        facts: Facts::default(),
    }
}

async fn fill(app: &App, events: std::ops::Range<u64>) {
    let events: Vec<Event> = events.map(event).collect();
    for some in events.chunks(500) {
        app.store.append(some.to_vec(), now()).await.unwrap();
    }
}

async fn exported(app: &App, after: Option<Cursor>) -> Vec<u8> {
    let mut out = Vec::new();
    run(app, after, "here", &mut out, &ProgressBar::hidden()).await.unwrap();
    out
}

async fn import(app: &App, dir: &TempDir, lines: &[u8]) -> events::Report {
    let path = dir.path().join("events.jsonl");
    std::fs::write(&path, lines).unwrap();
    events::run(app, &[Input::new(path)], app.now(), &ProgressBar::hidden()).await.unwrap()
}

fn unseen() -> Progress {
    Arc::new(|_, _| {})
}

#[tokio::test]
async fn a_store_moves_as_it_is() {
    let ((from, _from_files), (to, files)) = (home().await, home().await);
    fill(&from, 0..2_500).await;
    let lines = exported(&from, None).await;
    let report = import(&to, &files, &lines).await;
    assert_eq!((report.imported, report.lines, report.malformed), (2_500, 2_500, 0));
    assert_eq!(exported(&to, None).await, lines, "to the byte");
    for site in from.store.sites().await.unwrap() {
        for (period, day) in Period::ALL.into_iter().flat_map(|period| (0..60).map(move |ago| (period, ago))) {
            let key = PeriodKey::of(period, now().day().plus(-day));
            assert_eq!(
                from.store.totals(&site, key).await.unwrap(),
                to.store.totals(&site, key).await.unwrap(),
                "{key}"
            );
        }
    }
    assert_eq!(to.store.verify(now(), unseen()).await.unwrap().different, 0);

    let again = import(&to, &files, &lines).await;
    assert_eq!((again.imported, again.duplicates), (0, 2_500), "nothing twice");
}

/// What arrives meanwhile changes nothing in what was there.
#[tokio::test(flavor = "multi_thread")]
async fn consistent_while_events_arrive() {
    struct Arriving<'a>(&'a App, Vec<u8>, u64, tokio::runtime::Handle);
    impl Write for Arriving<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Between two pages: newer, older, and with the times of those that are being read.
            let more = (self.2..self.2 + 300).map(event).collect();
            self.2 += 300;
            let (app, handle) = (self.0, self.3.clone());
            std::thread::scope(|scope| {
                scope.spawn(|| handle.block_on(app.store.append(more, now())).unwrap());
            });
            self.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (app, _files) = home().await;
    // Even ones are there, odd ones arrive among them.
    let there: Vec<Event> = (0..5_000).filter(|n: &u64| n.is_multiple_of(2)).map(event).collect();
    app.store.append(there.clone(), now()).await.unwrap();
    let mut out = Arriving(&app, Vec::new(), 0, tokio::runtime::Handle::current());
    run(&app, None, "here", &mut out, &ProgressBar::hidden()).await.unwrap();
    let mut ids: Vec<Uuid> = out
        .1
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| event_line::read(line).unwrap().id)
        .collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "nothing twice");
    assert!(there.iter().all(|event| ids.binary_search(&event.id).is_ok()), "nothing missing");
}

#[tokio::test]
async fn half_a_file_is_continued_wherever_it_was_cut() {
    let (app, files) = home().await;
    fill(&app, 0..6).await;
    let whole = exported(&app, None).await;
    let path: PathBuf = files.path().join("half.jsonl");
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (mut file, cursor) = file::reopen(&path).unwrap();
        run(&app, cursor, "half", &mut file, &ProgressBar::hidden()).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == whole, "cut at {cut}");
    }
    std::fs::write(&path, "{\"no\":\"event\"}\n{\"id\":").unwrap();
    assert!(matches!(file::reopen(&path), Err(ExportError::NotAnExport { .. })));
    std::fs::write(&path, "x".repeat(300_000)).unwrap();
    assert!(matches!(file::reopen(&path), Err(ExportError::NotAnExport { .. })));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 300_000, "what is no export is left alone");
    assert!(matches!(file::create(&path), Err(ExportError::Exists(_))));
}

#[tokio::test]
async fn every_line_is_accounted_for() {
    let (app, files) =
        app_with(&[("ANALYTICS_SITES", "a,default"), ("ANALYTICS_RETENTION_DAYS", "30")], Fixed::at(now())).await;
    let mut lines = Vec::new();
    let mut put = |change: &dyn Fn(&mut Event)| {
        let mut event = event(3 * (lines.len() as u64 + 1) + 1);
        event.created_at = now();
        change(&mut event);
        lines.extend(event_line::write(&event).unwrap());
    };
    put(&|_| {});
    put(&|event| event.created_at = now().plus(-31 * 24 * HOUR));
    put(&|event| event.created_at = now().plus(-31 * 26 * 24 * HOUR));
    put(&|event| event.created_at = now().plus(-30 * 24 * HOUR));
    put(&|event| event.created_at = now().plus(24 * HOUR));
    put(&|event| event.created_at = now().plus(24 * HOUR + SECOND));
    put(&|event| event.site = Site::parse("z.example").unwrap());
    let first: Vec<u8> = lines.split_inclusive(|byte| *byte == b'\n').next().unwrap().to_vec();
    lines.extend(first);
    lines.extend(b"\n  \n{\"id\":7}\nnonsense\n\xff\xff\n");
    lines.extend("x".repeat(70_000).as_bytes());
    let report = import(&app, &files, &lines).await;
    assert_eq!((report.imported, report.duplicates), (3, 1));
    assert_eq!((report.too_old, report.too_new, report.not_measured, report.malformed), (1, 1, 1, 4));
    assert_eq!((report.lines, report.summarised.lines), (12, 1));
    let numbers: Vec<u64> = report.listed.iter().map(|bad| bad.line).collect();
    assert_eq!(numbers, [11, 12, 13, 14]);
    let text = report.to_string();
    assert!(text.contains("too_old") && text.contains("events.jsonl:12: it is no valid JSON"), "{text}");
    assert!(!report.is_unreadable());
}
