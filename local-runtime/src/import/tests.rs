use std::io::Write;
use std::path::Path;

use common::config::Config;
use common::period::{Period, PeriodKey};
use common::source::Fixed;
use common::store::TimelineFrom;
use tempfile::TempDir;

use super::format::Format;
use super::record::{Expected, Found};
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

    fn of(&self, inputs: &[&Input], rebase: bool) -> Import {
        Import {
            inputs: inputs.iter().copied().cloned().collect(),
            site: Site::default(),
            vhosts: Vec::new(),
            format: None,
            finished: false,
            rebase,
        }
    }

    async fn import(&self, inputs: &[&Input], rebase: bool) -> Result<Report, ImportError> {
        self.run(&self.of(inputs, rebase)).await
    }

    async fn run(&self, import: &Import) -> Result<Report, ImportError> {
        let report = run(&self.app, import, self.app.now(), &ProgressBar::hidden()).await;
        if let Ok(report) = &report {
            let left_out: u64 = LeftOut::ALL.iter().map(|reason| report.left_out(*reason)).sum();
            let summarised = report.summarised.lines + report.summarised.known + report.summarised.duplicates;
            assert_eq!(
                report.lines,
                report.imported + summarised + report.duplicates + left_out + report.unfinished + report.malformed
            );
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
async fn facts_are_derived_of_what_a_line_tells() {
    let home = Home::new(&[]).await;
    let of = |host: &str, time, target| format!("{host}:443 {}", line("198.18.0.1", time, target));
    let lines = [
        of("cv.example", "08/Dec/2025:10:00:00", "/a"),
        of("www.search.example", "08/Dec/2025:10:01:00", "/b"),
        of("cv.example", "08/Dec/2025:10:02:00", "/c?gclid=x"),
    ];
    home.import(&[&home.write("log", &lines)], false).await.unwrap();
    let mut events = home.app.store.timeline(&Site::default(), TimelineFrom::all(0), 10).await.unwrap();
    events.reverse();
    let told = events.iter().map(|event| {
        let (arrival, client) = (event.facts.arrival.fields(), event.facts.client.fields());
        [arrival.source, arrival.channel, client.browser, client.os, client.device].join("|")
    });
    let told: Vec<String> = told.collect();
    assert_eq!(
        told,
        [
            "search.example|Referral|Firefox|Linux|desktop",
            "Direct / None|Direct|Firefox|Linux|desktop",
            "search.example|Paid Search|Firefox|Linux|desktop",
        ]
    );
}

#[tokio::test]
async fn page_views_get_visitors_of_their_own_day() {
    let home = Home::new(&[]).await;
    let input = home.write(
        "log",
        &[
            line("198.18.0.1", "06/Dec/2025:10:00:00", "/cv?theme=ai&token=x"),
            line("198.18.0.1", "06/Dec/2025:11:00:00", "/"),
            line("::2", "06/Dec/2025:11:00:00", "/"),
            line("[::2]:80", "06/Dec/2025:12:00:00", "/"),
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
    assert_eq!((report.imported, report.summarised.lines, report.left_out(LeftOut::TooNew)), (2, 1, 1));
    let home = Home::new(&[("ANALYTICS_RETENTION_DAYS", "2"), ("ANALYTICS_SUMMARY_MONTHS", "0")]).await;
    let report = home.import(&[&input], false).await.unwrap();
    assert_eq!((report.imported, report.left_out(LeftOut::TooOld), report.left_out(LeftOut::TooNew)), (2, 1, 1));
}

#[tokio::test]
async fn expired_days_are_summarised_once() {
    let home = Home::new(&[]).await;
    let day = |day: &str, count: usize| vec![line("::1", &format!("{day}:23:59:59"), "/"); count];
    let first: Vec<String> = day("05/Jan/2025", 2);
    let input = home.write("log.1", &first);
    let counted = async |inputs: &[&Input]| {
        let report = home.import(inputs, false).await.unwrap();
        assert_eq!(report.lines, report.summarised.lines + report.summarised.known + report.left_out(LeftOut::TooOld));
        (report.summarised.lines, report.summarised.days, report.summarised.known)
    };
    assert_eq!(counted(&[&input]).await, (2, 1, 0));
    assert_eq!(counted(&[&input]).await, (0, 0, 2), "the same file again");
    let grown: Vec<String> = [first, day("05/Jan/2025", 1), day("06/Jan/2025", 4)].concat();
    let grown = home.write("log", &grown);
    assert_eq!(counted(&[&grown]).await, (7, 2, 0), "it has grown");
    assert_eq!(counted(&[&input]).await, (0, 0, 2), "a part of what is known");
    assert_eq!(home.day("2025-01-05").await, (0, 0), "no event is stored");
    assert_eq!(home.app.store.sites().await.unwrap(), [Site::default()], "the site is listed all the same");
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
    assert_eq!((report.imported, report.malformed, report.listed.len()), (2, 28, Report::MOST_LISTED));
    assert_eq!(report.listed[19].line, 20);
    assert!(report.to_string().contains("and 8 more"), "{report}");
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
    assert_eq!(report.listed[0].line, 8_899);
    assert!(matches!(
        report.listed[0].why,
        Malformed::Unexpected { expected: Expected::Agent, found: Found::OpenQuote, .. }
    ));
    let pages = report.imported + report.left_out(LeftOut::Bot);
    assert_eq!((pages, report.imported), (3_889, 1_537));
}

/// Inputs that the product once got wrong, where they are at hand.
#[tokio::test]
async fn real_cases() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/cases");
    for (name, imported, visitors) in [
        ("log-caddy.json", 2, 1),
        ("log-cloudfront.tsv", 1, 1),
        ("log-colon-tz.log", 1, 1),
        ("log-datefirst.log", 1, 1),
        ("log-docker.json", 1, 1),
        ("log-double-space.log", 1, 1),
        ("log-half-line-1.log", 1, 1),
        ("log-half-line-2.log", 1, 1),
        ("log-ip-port.log", 5, 5),
        ("log-iso-date.log", 1, 1),
        ("log-locale-month.log", 1, 1),
        ("log-ms-date.log", 1, 1),
        ("log-nginx.json", 1, 1),
        ("log-no-tz.log", 1, 1),
        ("log-npm.log", 1, 1),
        ("log-packed.bz2", 3, 1),
        ("log-tabs.log", 1, 1),
        ("log-utf16.log", 2, 1),
        ("log-vhost-noport-users.log", 3, 3),
        ("log-vhost-noport.log", 3, 1),
        ("log-vhost-port.log", 3, 1),
    ] {
        let path = cases.join(name);
        if !path.exists() {
            eprintln!("skipped: {} is not there", path.display());
            continue;
        }
        let home = Home::new(&[]).await;
        let import = Import { finished: true, ..home.of(&[&Input::new(path)], true) };
        let report = home.run(&import).await.unwrap();
        assert_eq!((report.imported, report.malformed), (imported, 0), "{name}: {report}");
        let (_, people) = home.day("2025-12-08").await;
        assert_eq!(people, visitors, "{name}");
    }
}

#[tokio::test]
async fn formats_are_told_and_reported() {
    let home = Home::new(&[]).await;
    let combined = line("198.18.0.1", "07/Dec/2025:10:00:00", "/a");
    let npm = format!(
        "[07/Dec/2025:10:00:00 +0000] - 200 200 - GET https b.example \"/b\" [Client 198.18.0.1] [Length 5] [Gzip -] \
         [Sent-to 10.0.0.1] \"{PERSON}\" \"-\""
    );
    let json = format!(
        r#"{{"time":"2025-12-07T10:00:00Z","remote_addr":"198.18.0.1","request":"GET /c HTTP/1.1","status":200,"http_user_agent":"{PERSON}"}}"#
    );
    let docker = serde_json::json!({"log": format!("{}\n", line("198.18.0.1", "07/Dec/2025:10:00:00", "/d")), "stream": "stdout"});
    let other = format!("2025-12-07T10:00:00.1Z stdout F {}", line("198.18.0.1", "07/Dec/2025:10:00:00", "/e"));
    let w3c = "#Version: 1.0\n#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent)\n".to_owned()
        + &format!("2025-12-07 10:00:00 198.18.0.1 GET /f 200 {}", PERSON.replace(' ', "+"));
    let input = home.write("log", &[combined, npm, json, docker.to_string(), other, w3c]);
    let report = home.import(&[&input], false).await.unwrap();
    assert_eq!((report.lines, report.imported), (6, 6), "{report}");
    let text = Format::Text { vhost: false, common: false };
    let formats = [(text, 3), (Format::ProxyManager, 1), (Format::W3c, 1), (Format::Json, 1)];
    assert_eq!(report.formats, formats.into_iter().collect());
    assert!(report.to_string().contains("format: nginx Proxy Manager, 1 lines"), "{report}");
    assert_eq!(home.day("2025-12-07").await, (6, 1), "one person");
}

#[tokio::test]
async fn hosts_are_no_clients_and_can_be_chosen() {
    let home = Home::new(&[]).await;
    let at = "07/Dec/2025:10:00:00";
    let lines = [
        format!("site.example:443 {}", line("198.18.0.1", at, "/")),
        format!("site.example {}", line("198.18.0.2", at, "/")),
        format!("other.example:80 {}", line("198.18.0.3", at, "/")),
        line("198.18.0.4", at, "/"),
        line("site.example", at, "/"),
    ];
    let input = home.write("log", &lines);
    let import = Import { vhosts: vec!["site.example".into()], ..home.of(&[&input], false) };
    let report = home.run(&import).await.unwrap();
    assert_eq!((report.imported, report.left_out(LeftOut::OtherHost), report.malformed), (2, 2, 1), "{report}");
    assert!(report.to_string().contains(":5: column 1: expected a client address, found a host name"), "{report}");

    let report = home.import(&[&input], false).await.unwrap();
    assert_eq!((report.imported, report.duplicates), (2, 2));
    assert!(report.to_string().contains("2 hosts; --vhost selects: other.example, site.example"), "{report}");

    let names = home.write("names", &lines[4..]);
    let report = home.import(&[&names], false).await.unwrap();
    assert!(report.is_unreadable() && report.to_string().contains("--log-format '%h"), "{report}");
    let format = Template::parse("%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"").unwrap();
    let report = home.run(&Import { format: Some(format), ..home.of(&[&names], false) }).await.unwrap();
    assert_eq!(report.imported, 1, "{report}");
}

#[tokio::test]
async fn a_last_line_that_may_be_incomplete_is_left_for_later() {
    let home = Home::new(&[]).await;
    let first = line("198.18.0.1", "07/Dec/2025:10:00:00", "/");
    let whole = line("198.18.0.1", "07/Dec/2025:10:00:01", "/") + " 1234";
    let log = |text: String| {
        let path = home.dir.path().join("log");
        std::fs::write(&path, text).unwrap();
        Input::new(path)
    };
    for end in [whole.len() - 2, whole.len(), 40, 9] {
        let report = home.import(&[&log(format!("{first}\n{}", &whole[..end]))], false).await.unwrap();
        assert_eq!((report.lines, report.unfinished, report.malformed), (2, 1, 0), "{report}");
        assert!(report.to_string().contains(":2\n") && report.to_string().contains("--finished"), "{report}");
    }
    let report = home.import(&[&log(format!("{first}\n{whole}\n"))], false).await.unwrap();
    assert_eq!((report.imported, report.duplicates), (1, 1), "{report}");
    assert_eq!(home.day("2025-12-07").await.0, 2);
}

#[tokio::test]
async fn a_last_line_without_an_end_is_read_once_its_file_is_finished() {
    let home = Home::new(&[]).await;
    let text = line("198.18.0.1", "07/Dec/2025:10:00:00", "/");
    let path = home.dir.path().join("log");
    std::fs::write(&path, &text).unwrap();
    let input = Input::new(path.clone());
    let import = home.of(&[&input], false);
    let report = home.run(&Import { finished: true, ..import.clone() }).await.unwrap();
    assert_eq!((report.imported, report.unfinished), (1, 0), "--finished");

    let written = std::time::UNIX_EPOCH + Duration::from_millis((home.app.now().millis() - 61_000) as u64);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
    let report = home.run(&import).await.unwrap();
    assert_eq!((report.duplicates, report.unfinished), (1, 0), "at rest for a minute");

    std::fs::write(&path, text + "\n").unwrap();
    assert_eq!(home.run(&import).await.unwrap().duplicates, 1, "the line break came");
    assert_eq!(home.day("2025-12-07").await.0, 1);
}

/// `tail -F access.log | import -`: what was read is stored, though nothing more comes.
#[tokio::test]
async fn what_was_read_of_a_log_that_goes_on_is_stored() {
    let home = Home::new(&[]).await;
    let import = home.of(&[], false);
    let mut run = Run { linger: Duration::ZERO, ..Run::new(&home.app, &import, home.app.now(), None) };
    let (sender, pieces) = mpsc::channel(10);
    let input = Input::new("-".into());
    let follow = run.file(&input, pieces);
    let write = async {
        for second in 0..3 {
            let bytes = line("198.18.0.1", &format!("07/Dec/2025:10:00:0{second}"), "/").into_bytes();
            sender.send(Piece::Line { number: second + 1, bytes: Some(bytes), is_ended: true }).await.unwrap();
        }
        while home.day("2025-12-07").await.0 < 3 {
            tokio::task::yield_now().await;
        }
        drop(sender);
    };
    let (followed, ()) = tokio::join!(follow, write);
    followed.unwrap();
    assert_eq!(run.report.imported, 3);
}
