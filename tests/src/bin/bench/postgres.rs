//! PostgreSQL and Redis beside the embedded engine: events, batches, reads, and an outage of
//! Redis in the middle of it all.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::ceiling;
use crate::context::{BASE, Context};
use crate::duel::{self, Rounds, median};
use crate::events::Shape;
use crate::fill;
use crate::load::{Expect, Plan, Running};
use crate::process::Process;
use crate::reads;
use crate::report::{Figure, Row};
use crate::request::Ring;
use crate::stores::{self, Stores};

/// Connections, and the goal for the ratio to the ceiling.
const INGEST: [(usize, Option<f64>); 3] = [(8, None), (64, Some(0.2)), (256, Some(0.3))];
const BATCHERS: usize = 8;
const BATCH: usize = 100;
const READERS: usize = 64;
const NAMED: Shape = Shape { visitor: true, event_id: false, timestamp: false };
/// When the circuit breaker must have opened.
const FIRST: Duration = Duration::from_secs(1);

/// Adds the rows of both engines.
///
/// # Errors
/// When a process fails.
pub(crate) async fn measure(context: &mut Context) -> Result<()> {
    let stores = Stores::start();
    let home = context.home("postgres")?;
    let server = stores.server(context.executable(), &home).await?;
    let embedded = context.server(&context.home("beside")?, &[]).await?;
    ingest(context, &server, &embedded).await?;
    batches(context, &server, &embedded).await?;
    outage(context, &server, &stores).await?;
    read(context, &server, &embedded).await?;
    embedded.stop().await?;
    server.stop().await?;
    if let Err(error) = stores.run(context.executable(), &home, &["verify"]) {
        context.report.fault(format!("verify on PostgreSQL and Redis: {error:#}"));
    }
    Ok(())
}

/// One thing to measure on both engines in turn, beside the ceiling.
struct Trio {
    what: String,
    connections: usize,
    /// What is sent to the product, and what to the ceiling.
    rings: [Arc<Ring>; 2],
    expect: [Expect; 2],
    /// Events or questions a request.
    work: f64,
}

impl Trio {
    /// All rounds; the row of PostgreSQL is handed to `goals` before it is added.
    async fn run(
        self,
        context: &mut Context,
        server: &Process,
        embedded: &Process,
        goals: impl Fn(Row) -> Row,
    ) -> Result<()> {
        let mut found = [Rounds::default(), Rounds::default()];
        for round in 1..=context.options.rounds() {
            context.say(&format!("{}, {} connections, round {round}", self.what, self.connections));
            let [product, nothing] = &self.rings;
            let plan = context.plan(&context.ceiling, self.connections, nothing, self.expect[1].clone());
            let above = duel::run(&mut context.report, "ceiling", plan).await?;
            for (process, rounds) in [server, embedded].into_iter().zip(&mut found) {
                let plan = context.plan(process, self.connections, product, self.expect[0].clone());
                let outcome = duel::run(&mut context.report, &self.what, plan).await?;
                rounds.add(&outcome, Some(&above));
            }
        }
        let [postgres, embedded] = found;
        let row = postgres.row(&format!("{}, PostgreSQL", self.what), self.connections, self.work);
        context.report.add(goals(row));
        context.report.add(embedded.row(&format!("{}, embedded", self.what), self.connections, self.work));
        Ok(())
    }
}

async fn ingest(context: &mut Context, server: &Process, embedded: &Process) -> Result<()> {
    let path = format!("{BASE}/event");
    for (connections, goal) in INGEST {
        let trio = Trio {
            what: "POST /event".to_owned(),
            connections,
            rings: [Arc::new(Ring::events(&path, NAMED)), Arc::new(Ring::events(ceiling::PATH, NAMED))],
            expect: [Expect::status(201), Expect::status(202)],
            work: 1.0,
        };
        let goals = |row: Row| match goal {
            Some(goal) => row.at_least(Figure::Ratio, goal).at_most(Figure::P99, 25.0),
            None => row,
        };
        trio.run(context, server, embedded, goals).await?;
    }
    Ok(())
}

async fn batches(context: &mut Context, server: &Process, embedded: &Process) -> Result<()> {
    let path = format!("{BASE}/events");
    let trio = Trio {
        what: format!("POST /events, events by {BATCH}"),
        connections: BATCHERS,
        rings: [Arc::new(Ring::batches(&path, NAMED, BATCH)), Arc::new(Ring::batches(ceiling::PATH, NAMED, BATCH))],
        expect: [Expect { status: 200, part: Some(format!("\"stored\":{BATCH}")) }, Expect::status(202)],
        work: BATCH as f64,
    };
    trio.run(context, server, embedded, |row| row).await
}

async fn read(context: &mut Context, server: &Process, embedded: &Process) -> Result<()> {
    for process in [server, embedded] {
        fill::fill(process, if context.options.quick { 5_000 } else { 50_000 }).await?;
    }
    for read in reads::READS {
        let trio = Trio {
            what: format!("GET {read}"),
            connections: READERS,
            rings: [reads::ring(read), Arc::new(Ring::get(ceiling::PATH))],
            expect: [Expect::status(200), Expect::status(200)],
            work: 1.0,
        };
        let goals = |row: Row| row.at_least(Figure::Ratio, 0.6).at_most(Figure::P99, 5.0);
        trio.run(context, server, embedded, goals).await?;
    }
    Ok(())
}

/// Redis stops answering in the middle of a load, and comes back.
async fn outage(context: &mut Context, server: &Process, stores: &Stores) -> Result<()> {
    const CONNECTIONS: usize = 64;
    let ring = Arc::new(Ring::events(&format!("{BASE}/event"), NAMED));
    let [mut before, mut first, mut during] = [Rounds::default(), Rounds::default(), Rounds::default()];
    let (mut slower, mut healing) = (Vec::new(), Vec::new());
    for round in 1..=context.options.rounds() {
        context.say(&format!("Redis pauses, round {round}"));
        let plan = context.plan(server, CONNECTIONS, &ring, Expect::status(201));
        let calm = duel::run(&mut context.report, "before an outage", plan.clone()).await?;
        // The load has begun when Redis falls silent, so that something waits for it.
        let load = Running::start(Plan { warm: Duration::ZERO, length: FIRST * 60, ..plan.clone() }).await?;
        tokio::time::sleep(FIRST / 10).await;
        stores.redis.pause();
        tokio::time::sleep(FIRST).await;
        let shock = load.stop().await?;
        context.report.check("first second of an outage", &shock);
        let away = duel::run(&mut context.report, "during an outage", plan).await?;
        stores.redis.resume();
        healing.push(stores::healed(server).await?.as_secs_f64());
        slower.push(away.percentile(99.0) / calm.percentile(99.0).max(0.001));
        before.add(&calm, None);
        first.add(&shock, None);
        during.add(&away, None);
    }
    context.report.add(before.row("POST /event before Redis pauses", CONNECTIONS, 1.0));
    context.report.add(first.row("POST /event, the first second of it", CONNECTIONS, 1.0));
    context.report.add(during.row("POST /event while it is paused", CONNECTIONS, 1.0));
    let row = Row::ratio("p99 of ingest while paused to before", median(slower));
    context.report.add(row.at_most(Figure::Ratio, 2.0));
    context.report.add(Row::of("until Redis is right again", median(healing), "s"));
    Ok(())
}
