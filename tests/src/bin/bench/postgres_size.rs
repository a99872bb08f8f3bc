//! What 90 days of events take: in Redis for figures, in PostgreSQL for the events.

use std::time::Instant;

use anyhow::Result;

use crate::access_log;
use crate::cleanup::{self, Watch};
use crate::context::Context;
use crate::report::{Figure, Row};
use crate::stores::Stores;

/// Days that are kept by default, but for the one that began before this run did.
const DAYS: u64 = 89;
/// Days that are kept when it comes to cleaning up: at 10 million events a million goes.
const KEPT: u64 = 80;

/// Adds the rows about room, and about how long it takes to make it all.
///
/// # Errors
/// When a process fails.
pub(crate) async fn measure(context: &mut Context) -> Result<()> {
    let events = context.options.events();
    let stores = Stores::start();
    let home = context.home("postgres-size")?;
    let log = home.join("access.log");
    context.say(&format!("importing {events} events of {DAYS} days into PostgreSQL"));
    access_log::write(&log, events, DAYS)?;
    let path = log.display().to_string();
    let began = Instant::now();
    stores.run(context.executable(), &home, &["import", &path])?;
    let mut row = Row::new("import into PostgreSQL, lines");
    row.rate = Some(events as f64 / began.elapsed().as_secs_f64());
    context.report.add(row);
    std::fs::remove_file(&log)?;

    let began = Instant::now();
    let server = stores.server(context.executable(), &home).await?;
    crate::stores::healed(&server).await?;
    let row = Row::of(&format!("start to all figures right, {events} stored"), began.elapsed().as_secs_f64(), "s");
    context.report.add(row);
    let redis = stores.redis_bytes()? as f64 / 1e6;
    let row = Row::of(&format!("Redis, {} visitors of {DAYS} days", events / access_log::VIEWS), redis, "MB");
    context.report.add(row.at_most(Figure::Value, 10.0));

    context.say("Redis loses everything");
    stores.redis.command(&["flushall"]);
    let began = Instant::now();
    // The first question after it, or the watch, notices; then all is made again.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    crate::stores::healed(&server).await?;
    let row = Row::of(&format!("Redis made again from {events} events"), began.elapsed().as_secs_f64(), "s");
    context.report.add(row);
    server.stop().await?;

    let disk = stores.disk()?;
    let an_event = |bytes: f64| bytes / events as f64;
    context.report.add(Row::of("PostgreSQL an event, without indexes", an_event(disk.events), "bytes"));
    context.report.add(Row::of(
        "PostgreSQL an event, with indexes and ids",
        an_event(disk.events + disk.indexes),
        "bytes",
    ));
    context.report.add(Row::of("PostgreSQL, all aggregates", disk.aggregates / 1e6, "MB"));
    let began = Instant::now();
    if let Err(error) = stores.run(context.executable(), &home, &["verify"]) {
        context.report.fault(format!("verify on PostgreSQL and Redis: {error:#}"));
    }
    context.report.add(Row::of(&format!("verify of {events} events"), began.elapsed().as_secs_f64(), "s"));

    context.say("cleanup by partition, under load");
    let kept = KEPT.to_string();
    let variables = [("ANALYTICS_RETENTION_DAYS", &*kept), ("ANALYTICS_ADMIN_TOKEN", cleanup::TOKEN)];
    let server = stores.server_with(context.executable(), &home, &variables).await?;
    let mut watch = Watch::default();
    let deleted = watch.round(context, &server).await?.unwrap_or(0);
    if deleted == 0 {
        context.report.fault("cleanup by partition deleted nothing".to_owned());
    }
    watch.report(context, &format!("cleanup of {deleted} events by partition"), 1.0);
    server.stop().await?;
    Ok(())
}
