//! The six reads beside a GET that means nothing, alone and while events arrive.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::ceiling;
use crate::context::{BASE, Context};
use crate::duel::{self, Rounds};
use crate::events::Shape;
use crate::fill;
use crate::load::{Expect, Plan, Running};
use crate::process::Process;
use crate::report::Figure;
use crate::request::Ring;

const CONNECTIONS: usize = 64;
const WRITERS: usize = 2;

/// The reads, as they are named in the table.
pub(crate) const READS: [&str; 6] = [
    "/realtime",
    "/stats?period=day",
    "/themes?limit=5",
    "/letters?period=day",
    "/timeline?limit=50",
    "/heatmap?page_url=/cv&hours=24",
];

/// The requests of one read.
pub(crate) fn ring(read: &str) -> Arc<Ring> {
    Arc::new(Ring::get(&format!("{BASE}{read}")))
}

/// Adds the rows of all reads, and of the ceiling.
///
/// # Errors
/// When a process fails.
pub(crate) async fn measure(context: &mut Context) -> Result<()> {
    let server = context.server(&context.home("reads")?, &[]).await?;
    fill::fill(&server, if context.options.quick { 5_000 } else { 50_000 }).await?;
    let nothing = Arc::new(Ring::get(ceiling::PATH));
    let shape = Shape { visitor: true, ..Shape::default() };
    let events = Arc::new(Ring::events(&format!("{BASE}/event"), shape));
    let mut top = Rounds::default();
    let mut writing = Rounds::default();
    let mut cases = READS.map(|read| (read, ring(read), Rounds::default(), Rounds::default()));
    for round in 1..=context.options.rounds() {
        for (read, ring, alone, beside) in &mut cases {
            context.say(&format!("GET {read}, round {round}"));
            let plan = context.plan(&context.ceiling, CONNECTIONS, &nothing, Expect::status(200));
            let above = duel::run(&mut context.report, "ceiling", plan).await?;
            top.add(&above, None);
            let plan = context.plan(&server, CONNECTIONS, ring, Expect::status(200));
            let found = duel::run(&mut context.report, read, plan.clone()).await?;
            alone.add(&found, Some(&above));
            let writers = start_writers(context, &server, &events).await?;
            let found = duel::run(&mut context.report, read, plan).await?;
            beside.add(&found, Some(&above));
            let written = writers.stop().await?;
            context.report.check("writers beside reads", &written);
            writing.add(&written, None);
        }
    }
    context.report.add(top.row("ceiling GET", CONNECTIONS, 1.0));
    let mut beside_rows = Vec::new();
    for (read, _, alone, beside) in cases {
        let row = alone.row(&format!("GET {read}"), CONNECTIONS, 1.0);
        context.report.add(row.at_least(Figure::Ratio, 0.6).at_most(Figure::P99, 5.0));
        beside_rows.push(beside.row(&format!("GET {read}, 2 writers"), CONNECTIONS, 1.0));
    }
    beside_rows.push(writing.row("the writers: POST /event", WRITERS, 1.0));
    beside_rows.into_iter().for_each(|row| context.report.add(row));
    server.stop().await
}

async fn start_writers(context: &Context, server: &Process, events: &Arc<Ring>) -> Result<Running> {
    let plan = context.plan(server, WRITERS, events, Expect::status(201));
    Running::start(Plan { length: plan.length * 2 + Duration::from_secs(60), ..plan }).await
}
