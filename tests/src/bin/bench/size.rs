//! What grows with stored events, and what must not: reads, start, memory, disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::context::{BASE, Context};
use crate::disk;
use crate::duel::{self, Rounds, median};
use crate::events::Shape;
use crate::fill;
use crate::load::{Expect, Running};
use crate::process::Process;
use crate::reads;
use crate::report::{Figure, Row};
use crate::request::Ring;

const FEW: u64 = 10_000;
/// Few connections: times of the server, not of a queue before it.
const CONNECTIONS: usize = 8;
const LOADED: usize = 64;
const STARTS: usize = 5;
/// When a process that was just started has settled.
const SETTLED: Duration = Duration::from_secs(1);

/// Adds the rows about few and many events.
///
/// # Errors
/// When a process fails.
pub(crate) async fn measure(context: &mut Context) -> Result<()> {
    let (few, many) = (context.home("few")?, context.home("many")?);
    let small = context.server(&few, &[]).await?;
    tokio::time::sleep(SETTLED).await;
    let row = Row::of("memory idle, no events", mebibytes(small.memory()?.now), "MiB");
    context.report.add(row.at_most(Figure::Value, 20.0));
    fill::fill(&small, FEW).await?;

    context.say(&format!("storing {} events", context.options.events()));
    let server = context.server(&many, &[]).await?;
    let began = std::time::Instant::now();
    let stored = fill::fill(&server, context.options.events()).await?;
    let rate = stored as f64 / began.elapsed().as_secs_f64();
    let filled = server.memory()?.peak;
    server.stop().await?;
    let mut row = Row::new("filling, events by 500");
    (row.connections, row.rate) = (Some(4), Some(rate));
    context.report.add(row);
    let row = Row::of("memory peak while filling", mebibytes(filled), "MiB");
    context.report.add(row.at_most(Figure::Value, 60.0));
    let bytes = disk::database_bytes(&many)? as f64 / stored as f64;
    let row = Row::of(&format!("disk an event, {stored} stored"), bytes, "bytes");
    context.report.add(row.at_most(Figure::Value, 120.0));

    let large = restart(context, &many, stored).await?;
    compare_reads(context, &small, &large, stored).await?;
    small.stop().await?;
    load_memory(context, large, stored).await
}

/// Starts the server several times, keeps the last.
async fn restart(context: &mut Context, home: &Path, stored: u64) -> Result<Process> {
    let mut times = Vec::new();
    for _ in 1..STARTS {
        let server = context.server(home, &[]).await?;
        times.push(server.ready_after.as_secs_f64() * 1_000.0);
        server.stop().await?;
    }
    let server = context.server(home, &[]).await?;
    times.push(server.ready_after.as_secs_f64() * 1_000.0);
    let row = Row::of(&format!("start to ready, {stored} stored"), median(times), "ms");
    context.report.add(row.at_most(Figure::Value, 100.0));
    tokio::time::sleep(SETTLED).await;
    let idle = mebibytes(server.memory()?.now);
    let row = Row::of(&format!("memory idle, {stored} stored"), idle, "MiB");
    context.report.add(row.at_most(Figure::Value, 20.0));
    Ok(server)
}

/// The same read on both, in turn; the ratio is of times, so above 1 is slower.
async fn compare_reads(context: &mut Context, small: &Process, large: &Process, stored: u64) -> Result<()> {
    for read in reads::READS {
        context.say(&format!("GET {read}, {FEW} and {stored} stored"));
        let ring = reads::ring(read);
        let (mut ratios, mut rounds) = (Vec::new(), Rounds::default());
        for _ in 0..context.options.rounds() {
            let mut rates = [0.0; 2];
            for (server, rate) in [small, large].into_iter().zip(&mut rates) {
                let plan = context.plan(server, CONNECTIONS, &ring, Expect::status(200));
                let found = duel::run(&mut context.report, read, plan).await?;
                *rate = found.rate();
                if std::ptr::eq(server, large) {
                    rounds.add(&found, None);
                }
            }
            ratios.push(rates[0] / rates[1].max(f64::EPSILON));
        }
        let what = format!("GET {read}, {stored} stored, time to {FEW}");
        let mut row = rounds.row(&what, CONNECTIONS, 1.0);
        row.ratio = Some(median(ratios));
        context.report.add(row.at_most(Figure::Ratio, 1.5));
    }
    Ok(())
}

/// Events and all reads at once, then the most memory that the process ever had.
async fn load_memory(context: &mut Context, server: Process, stored: u64) -> Result<()> {
    context.say("memory under load");
    let shape = Shape { visitor: true, ..Shape::default() };
    let events = Arc::new(Ring::events(&format!("{BASE}/event"), shape));
    let mut loads = vec![Running::start(context.plan(&server, LOADED, &events, Expect::status(201))).await?];
    for read in reads::READS {
        let plan = context.plan(&server, CONNECTIONS, &reads::ring(read), Expect::status(200));
        loads.push(Running::start(plan).await?);
    }
    for load in loads {
        let outcome = load.join().await?;
        context.report.check("events and reads at once", &outcome);
    }
    let what = format!("memory peak under load, {stored} stored");
    let row = Row::of(&what, mebibytes(server.memory()?.peak), "MiB");
    context.report.add(row.at_most(Figure::Value, 60.0));
    server.stop().await
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
