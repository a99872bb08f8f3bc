//! The retention run over many old events while new ones arrive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::access_log;
use crate::connection::Connection;
use crate::context::{BASE, Context};
use crate::disk;
use crate::duel::{self, Rounds, median};
use crate::events::Shape;
use crate::load::{Expect, Plan, Running};
use crate::process::{self, Process};
use crate::report::{Figure, Row};
use crate::request::Ring;

const CONNECTIONS: usize = 64;
/// Guards nothing but a database of made-up events.
pub(crate) const TOKEN: &str = "bench-admin-token";
const PATIENCE: Duration = Duration::from_secs(120);

/// Adds the rows about the retention run.
///
/// # Errors
/// When a process fails.
pub(crate) async fn measure(context: &mut Context) -> Result<()> {
    let old = context.options.old_events();
    let home = context.home("old")?;
    let log = home.join("access.log");
    context.say(&format!("importing {old} old events"));
    access_log::write(&log, old, 1)?;
    let began = Instant::now();
    process::run(context.executable(), &home, &["import", &log.display().to_string()], &[])?;
    let mut row = Row::new("import of an access log, lines");
    row.rate = Some(old as f64 / began.elapsed().as_secs_f64());
    context.report.add(row);

    let mut watch = Watch::default();
    for round in 1..=context.options.rounds() {
        // A fresh copy each round: what is deleted is gone.
        context.say(&format!("cleanup under load, round {round}"));
        let copy = context.home(&format!("old-{round}"))?;
        disk::copy_database(&home, &copy)?;
        let variables = [("ANALYTICS_RETENTION_DAYS", "30"), ("ANALYTICS_ADMIN_TOKEN", TOKEN)];
        let server = context.server(&copy, &variables).await?;
        let deleted = watch.round(context, &server).await?;
        if deleted.is_some_and(|deleted| deleted != old) {
            context.report.fault(format!("cleanup deleted {deleted:?} of {old}"));
        }
        server.stop().await?;
        // Copies are large; the next round needs the room.
        std::fs::remove_dir_all(&copy)?;
    }
    watch.report(context, &format!("cleanup of {old} events"), 3.0);
    Ok(())
}

/// Retention runs that were watched, with what ingest felt of them.
#[derive(Default)]
pub(crate) struct Watch {
    before: Rounds,
    meanwhile: Rounds,
    seconds: Vec<f64>,
    slower: Vec<f64>,
}

impl Watch {
    /// Watches a run on a server that takes [`TOKEN`]; answers how many events it deleted, unless
    /// it was refused.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub(crate) async fn round(&mut self, context: &mut Context, server: &Process) -> Result<Option<u64>> {
        let shape = Shape { visitor: true, ..Shape::default() };
        let events = Arc::new(Ring::events(&format!("{BASE}/event"), shape));
        let plan = context.plan(server, CONNECTIONS, &events, Expect::status(201));
        let calm = duel::run(&mut context.report, "before cleanup", plan.clone()).await?;
        let load = Running::start(Plan { warm: Duration::ZERO, length: PATIENCE, ..plan }).await?;
        let began = Instant::now();
        let cleaned = clean(server).await;
        self.seconds.push(began.elapsed().as_secs_f64());
        let busy = load.stop().await?;
        context.report.check("during cleanup", &busy);
        self.before.add(&calm, None);
        self.meanwhile.add(&busy, None);
        self.slower.push(busy.percentile(99.0) / calm.percentile(99.0).max(0.001));
        match cleaned {
            Ok(Cleaned { refused: None, deleted }) => return Ok(Some(deleted)),
            Ok(Cleaned { refused: Some(answer), .. }) => context.report.fault(format!("cleanup: {answer}")),
            Err(error) => context.report.fault(format!("cleanup: {error:#}")),
        }
        Ok(None)
    }

    /// Adds the rows; `what` may take so many seconds.
    pub(crate) fn report(self, context: &mut Context, what: &str, seconds: f64) {
        context.report.add(self.before.row("POST /event before cleanup", CONNECTIONS, 1.0));
        context.report.add(self.meanwhile.row("POST /event during cleanup", CONNECTIONS, 1.0));
        let row = Row::ratio("p99 of ingest during to before", median(self.slower));
        context.report.add(row.at_most(Figure::Ratio, 2.0));
        let row = Row::of(what, median(self.seconds), "s");
        context.report.add(row.at_most(Figure::Value, seconds));
    }
}

/// How the retention run went.
struct Cleaned {
    /// What the last answer says was deleted.
    deleted: u64,
    /// The first answer that was a refusal.
    refused: Option<String>,
}

/// Asks for the retention run, and again when it is refused: how long the work takes in all is
/// worth knowing then too.
async fn clean(server: &Process) -> Result<Cleaned> {
    let request = format!(
        "POST {BASE}/cleanup HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
         content-length: 0\r\n\r\n"
    );
    let mut connection = Connection::open(server.addr, 300).await?;
    let deadline = Instant::now() + PATIENCE;
    let mut refused: Option<String> = None;
    loop {
        let answer = connection.exchange(request.as_bytes());
        let answer = tokio::time::timeout_at(deadline.into(), answer).await;
        let answer = answer.with_context(|| format!("no end after {} s; {refused:?}", PATIENCE.as_secs()))??;
        let text = String::from_utf8_lossy(answer.body).into_owned();
        if answer.status == 200 {
            let body: Value = serde_json::from_str(&text)?;
            let deleted = body["data"]["deleted"].as_u64().with_context(|| text.clone())?;
            return Ok(Cleaned { deleted, refused });
        }
        refused.get_or_insert_with(|| format!("status {}: {text}", answer.status));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
