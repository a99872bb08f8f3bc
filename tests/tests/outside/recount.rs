//! Queries against an independent recount: a program in Python, written from the contract alone
//! (`tests/recount`), computes from the exported events what the product must answer.

use std::process::Stdio;
use std::time::Duration;

use tests::access_log::{self, AccessLog, Line};
use tests::clock::{away_from_midnight, days_ago};
use tests::home::Home;
use tests::random::Random;
use tests::samples::{PAGES, SITE, arriving, event_lines};
use tests::server::Server;
use tests::{BROWSER, binary};
use tokio::process::Command;
use tokio::time::timeout;

/// Long enough for the latest change of clocks to be kept all year.
const RETENTION_DAYS: &str = "300";

/// The recount takes a few seconds, but other tests run beside it.
const RECOUNT_TIMEOUT: Duration = Duration::from_secs(180);

/// Asks the server everything that `tests/recount/queries.py` lists about a site.
async fn recounted(server: &Server, site: &str) {
    let export = server.home.path().join("recount.jsonl");
    let _ = std::fs::remove_file(&export);
    server.home.run(&["export", "--output", &export.display().to_string()]).await.expect_code(0);
    let mut program = Command::new("python3");
    program.arg("-B").arg(binary::workspace().join("tests/recount/recount.py"));
    program.arg(server.address.to_string()).arg(export).arg(site).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(RECOUNT_TIMEOUT, program.output()).await.expect("in time").expect("python3 runs");
    let [found, failure] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    eprintln!("{found}");
    assert!(output.status.success(), "{failure}");
}

#[tokio::test]
async fn a_site_of_our_own() {
    away_from_midnight().await;
    let home = Home::new().env("ANALYTICS_RETENTION_DAYS", RETENTION_DAYS);
    let mut random = Random::seeded();
    let log = home.write("access.log", access_log(&mut random).text());
    home.run(&["import", "--site", SITE, &log]).await.expect_code(0);
    let lines = home.write("events.jsonl", event_lines(&mut random));
    home.run(&["import", "--format", "events", &lines]).await.expect_code(0);
    let server = home.serve().await;
    server.store_all(&arriving(&mut random)).await;
    recounted(&server, SITE).await;
    // An event of a closed day, and others of the open one: both are in the next answers.
    let late = home.write("late.jsonl", event_lines(&mut random));
    home.run(&["import", "--format", "events", &late]).await.expect_code(0);
    server.store_all(&arriving(&mut random)).await;
    recounted(&server, SITE).await;
}

/// A real site's log, where it is at hand.
#[tokio::test]
async fn a_real_log() {
    let Some(path) = access_log::real() else { return };
    away_from_midnight().await;
    let home = Home::new().env("ANALYTICS_RETENTION_DAYS", RETENTION_DAYS);
    home.run(&["import", "--rebase", &path]).await.expect_code(0);
    recounted(&home.serve().await, "default").await;
}

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 \
                     (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";

fn access_log(random: &mut Random) -> AccessLog {
    let mut log = AccessLog::default();
    for _ in 0..300 {
        let line = Line {
            address: random.one_of::<&str>(&["198.18.5.9", "198.18.5.10", "198.18.7.1", "2001:db8::7"]),
            request: &format!("GET {}", random.one_of(&PAGES)),
            user_agent: random.one_of::<&str>(&[BROWSER, PHONE]),
            ..Line::default()
        };
        log.combined(days_ago(1 + random.below(40) as i64), line);
    }
    log
}
