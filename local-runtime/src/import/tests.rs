use std::io::Write;
use std::path::Path;

use common::config::Config;
use common::period::{Period, PeriodKey};
use common::source::Fixed;
use common::store::TimelineFrom;
use tempfile::TempDir;

use super::*;

const PERSON: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";

/// A store of its own, whose clock stands at noon of 2025-12-08.
struct Home {
    dir: TempDir,
    app: App,
}

impl Home {
    async fn new(vars: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = format!("sqlite:{}", dir.path().join("a.db").display());
        let vars = vars.iter().copied().chain([("ANALYTICS_STORE", &*store)]);
        let config = Config::from_vars(vars.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        let app = App::open(config, Fixed::at(Timestamp::parse("2025-12-08T12:00:00Z").unwrap())).await.unwrap();
        Self { dir, app }
    }

    fn write(&self, name: &str, lines: &[String]) -> Input {
        let path = self.dir.path().join(name);
        std::fs::File::create(&path).unwrap().write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
        Input::new(path)
    }

    async fn import(&self, inputs: &[&Input], rebase: bool) -> Result<Report, ImportError> {
        let import = Import {
            inputs: inputs.iter().copied().cloned().collect(),
            site: Site::default(),
            format: Format::Combined,
            rebase,
        };
        let report = run(&self.app, &import, self.app.now(), &ProgressBar::hidden()).await;
        if let Ok(report) = &report {
            let left_out: u64 = LeftOut::ALL.iter().map(|reason| report.left_out(*reason)).sum();
            assert_eq!(report.lines, report.imported + report.duplicates + left_out + report.malformed);
        }
        report
    }

    async fn day(&self, day: &str) -> (u64, u64) {
        let key = PeriodKey::of(Period::Day, Day::parse(day).unwrap());
        let totals = self.app.store.totals(&Site::default(), key).await.unwrap();
        (totals.page_views, totals.visitors)
    }
}

fn line(client: &str, time: &str, target: &str) -> String {
    format!(r#"{client} - - [{time} +0000] "GET {target} HTTP/1.1" 200 5 "https://joe@search.example/?q=x" "{PERSON}""#)
}

#[tokio::test]
async fn page_views_get_visitors_of_their_own_day() {
    let home = Home::new(&[]).await;
    let input = home.write(
        "log",
        &[
            line("198.18.0.1", "06/Dec/2025:10:00:00", "/cv?theme=ai&token=x"),
            line("198.18.0.1", "06/Dec/2025:11:00:00", "/"),
            line("a.example", "06/Dec/2025:11:00:00", "/"),
            line("A.example", "06/Dec/2025:12:00:00", "/"),
            line("198.18.0.1", "07/Dec/2025:10:00:00", "/"),
        ],
    );
    let report = home.import(&[&input], false).await.unwrap();
    assert_eq!((report.imported, report.malformed), (5, 0));
    assert_eq!(home.day("2025-12-06").await, (4, 2));
    assert_eq!(home.day("2025-12-07").await, (1, 1));

    let events = home.app.store.timeline(&Site::default(), TimelineFrom::all(0), 10).await.unwrap();
    let oldest = &events[4];
    assert_eq!(oldest.page_url.as_ref().unwrap().as_str(), "/cv?theme=ai");
    assert_eq!(oldest.referrer.as_ref().unwrap().as_str(), "https://search.example/");
    assert_eq!(oldest.created_at.to_string(), "2025-12-06T10:00:00.000Z");
    assert_ne!(events[0].visitor, oldest.visitor, "the same person, another day");
}

#[tokio::test]
async fn importing_again_stores_what_is_new() {
    let home = Home::new(&[]).await;
    let mut lines = vec![line("198.18.0.1", "07/Dec/2025:10:00:00", "/"); 3];
    let log = home.write("log", &lines);
    assert_eq!(home.import(&[&log], false).await.unwrap().imported, 3, "equal lines are different requests");
    lines.push(line("198.18.0.1", "07/Dec/2025:10:00:01", "/"));
    let grown = home.write("log.1", &lines);
    let report = home.import(&[&grown, &log], false).await.unwrap();
    assert_eq!((report.imported, report.duplicates), (1, 6));
    assert_eq!(home.day("2025-12-07").await, (4, 1));
}

#[tokio::test]
async fn too_old_and_too_new() {
    let home = Home::new(&[("ANALYTICS_RETENTION_DAYS", "2")]).await;
    let input = home.write(
        "log",
        &[
            line("::1", "05/Dec/2025:23:59:59", "/"),
            line("::1", "06/Dec/2025:00:00:00", "/"),
            line("::1", "08/Dec/2025:12:05:00", "/"),
            line("::1", "08/Dec/2025:12:05:01", "/"),
        ],
    );
    let report = home.import(&[&input], false).await.unwrap();
    assert_eq!((report.imported, report.left_out(LeftOut::TooOld), report.left_out(LeftOut::TooNew)), (2, 1, 1));
}

#[tokio::test]
async fn rebased_by_whole_days() {
    let home = Home::new(&[]).await;
    // The newest line is no page view, and not the last one.
    let input = home.write(
        "log",
        &[
            line("::1", "18/May/2015:23:00:00", "/"),
            line("::1", "20/May/2015:01:00:00", "/a.css"),
            line("::1", "17/May/2015:00:00:00", "/"),
            line("::1", "20/May/2015:00:00:00", "/"),
            line("::1", "20/May/2015:23:00:00", "/"),
        ],
    );
    for imported in [4, 0] {
        let report = home.import(&[&input], true).await.unwrap();
        assert_eq!((report.imported, report.duplicates), (imported, 4 - imported));
        assert_eq!((report.moved_days, report.ahead), (Some(3_855), imported / 4));
    }
    for (day, views) in [("2025-12-08", 2), ("2025-12-07", 0), ("2025-12-06", 1), ("2025-12-05", 1)] {
        assert_eq!(home.day(day).await.0, views, "{day}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_skipped() {
    let home = Home::new(&[]).await;
    let mut lines = vec!["nonsense".to_owned(); 30];
    lines[20] = line("::1", "07/Dec/2025:10:00:00", "/");
    lines[21] = line("::1", "07/Dec/2025:10:00:00", &format!("/{}", "x".repeat(3_000)));
    let input = home.write("log", &lines);
    let report = home.import(&[&input], false).await.unwrap();
    assert_eq!((report.imported, report.malformed, report.listed.len()), (1, 29, Report::MOST_LISTED));
    assert_eq!(report.listed[19].line, 20);
    assert!(report.to_string().contains("and 9 more"), "{report}");
    assert!(!report.is_unreadable());
}

#[tokio::test]
async fn what_is_not_possible() {
    let home = Home::new(&[("ANALYTICS_SITES", "cv.example")]).await;
    let none = Input::new("-".into());
    assert!(matches!(home.import(&[&none], false).await, Err(ImportError::Site(_))));
    let home = Home::new(&[("ANALYTICS_IDENTITY", "explicit")]).await;
    assert!(matches!(home.import(&[&none], false).await, Err(ImportError::Explicit)));
    let home = Home::new(&[]).await;
    assert!(matches!(home.import(&[&none], true).await, Err(ImportError::RebasedStandardInput)));
    let gone = Input::new(home.dir.path().join("gone"));
    assert!(matches!(home.import(&[&gone], false).await, Err(ImportError::Read { line: 0, .. })));
}

/// A real site's log, where it is at hand.
#[tokio::test]
async fn a_real_log() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/access-log/access-semicomplete-2015.log");
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return;
    }
    let home = Home::new(&[]).await;
    let report = home.import(&[&Input::new(path)], true).await.unwrap();
    assert_eq!((report.lines, report.malformed), (10_000, 1));
    assert_eq!((report.listed[0].line, report.listed[0].why), (8_899, Malformed::UserAgent));
    let pages = report.imported + report.left_out(LeftOut::Bot);
    assert_eq!((pages, report.imported), (3_889, 1_537));
}
