//! Queries of generated events beside DuckDB, today's figures while events arrive, memory, and ingest while
//! an expensive query runs.
//!
//! Segments are built and scanned by `common/examples/queries`, a program of its own: ten million events
//! over the wire would take an hour. DuckDB is a Python package, which the Makefile installs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

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

/// Asks DuckDB.
const SCRIPT: &str = include_str!("duckdb.py");
/// Days of the stored events that are asked for while events arrive.
const DAYS: u64 = 88;
const CONNECTIONS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(300);

/// Adds the rows about queries.
///
/// # Errors
/// When a program fails or is not built.
pub(crate) async fn measure(context: &mut Context) -> Result<()> {
    let program = program()?;
    if !program.is_file() {
        context.say("no queries here to be measured: cargo build --release -p common --example queries builds them");
        return Ok(());
    }
    for (events, has_goals) in context.options.query_sizes() {
        compare(context, &program, events, has_goals)?;
    }
    today(context, &program)?;
    let derived = run(Command::new(&program).arg("derive"))?;
    let row = Row::of("facts of an event, headers included", number(&derived["us_an_event"]), "µs");
    context.report.add(row.at_most(Figure::Value, 3.0));
    ingest(context).await
}

fn program() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("examples").join("queries"))
}

/// Runs a program to its end and reads the JSON that it prints.
fn run(command: &mut Command) -> Result<Value> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("starting {command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The program with the environment that the server gives itself, so that it holds as much memory.
fn asking(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("MIMALLOC_PURGE_DELAY", "1");
    command
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// The same questions with segments in memory, with nothing in memory, and to DuckDB.
fn compare(context: &mut Context, program: &Path, events: u64, has_goals: bool) -> Result<()> {
    let folder = context.home(&format!("queries-{events}"))?;
    context.say(&format!("making segments of {events} events"));
    let made = run(Command::new(program).arg("make").arg(events.to_string()).arg(&folder))?;
    let row = Row::of(&format!("segment, {events} events"), number(&made["bytes_an_event"]), "bytes an event");
    context.report.add(row.at_most(Figure::Value, 12.0));
    let row = Row::of("building a segment", number(&made["build_us_an_event"]), "µs an event");
    context.report.add(row);

    context.say(&format!("queries of {events} events, one thread"));
    let warm = run(asking(program).arg("warm").arg(&folder))?;
    let duckdb = match context.options.duckdb.clone() {
        Some(python) => {
            context.say(&format!("the same in DuckDB, {events} events, one thread"));
            run(Command::new(python).arg("-c").arg(SCRIPT).arg(&folder))?
        }
        None => {
            context.say("without DuckDB: --duckdb names no Python that has it");
            json!([])
        }
    };
    let cold = run(asking(program).arg("cold").arg(&folder))?;
    std::fs::remove_dir_all(&folder)?;
    for (at, question) in warm.as_array().into_iter().flatten().enumerate() {
        let name = question["name"].as_str().unwrap_or_default();
        let mut row = Row::of(&format!("{name}, {events} events"), number(&question["ms"]), "ms");
        if has_goals {
            row = row.at_most(Figure::Value, 50.0);
        }
        if let Some(other) = duckdb.get(at) {
            row.ratio = Some(number(&other["ms"]) / number(&question["ms"]));
            if has_goals {
                row = row.at_least(Figure::Ratio, 8.0);
            }
            if figures(&question["rows"]) != figures(&other["rows"]) {
                context.report.fault(format!("{name}: {} but in DuckDB {}", question["rows"], other["rows"]));
            }
        }
        context.report.add(row);
        let row = Row::of(&format!("{name}, nothing in memory"), number(&cold["questions"][at]["ms"]), "ms");
        context.report.add(if has_goals { row.at_most(Figure::Value, 400.0) } else { row });
    }
    let mebibytes = |name: &str| number(&cold[name]) / 1_048_576.0;
    let more = mebibytes("most_bytes") - mebibytes("idle_bytes");
    let row = Row::of(&format!("memory of queries, {events} events"), more, "MiB");
    context.report.add(row.at_most(Figure::Value, mebibytes("bound_bytes")));
    Ok(())
}

/// What both programs print: dimensions and metrics, or the visitors of each step.
fn figures(rows: &Value) -> Vec<Value> {
    let of = |row: &Value| match row["steps"].as_array() {
        Some(steps) => steps.iter().map(|step| step["visitors"].clone()).collect(),
        None => json!([row["dimensions"], row["metrics"]]),
    };
    rows.as_array().into_iter().flatten().map(of).collect()
}

fn today(context: &mut Context, program: &Path) -> Result<()> {
    let folder = context.home("queries-today")?;
    let seconds = context.options.today_length().as_secs();
    context.say(&format!("today's figures while 5,000 events a second arrive, {seconds} s"));
    let measured = run(asking(program).arg("today").arg(seconds.to_string()).arg(&folder))?;
    let events = &measured["events"];
    let mut row = Row::new(&format!("today's top pages, {events} events, 5,000 more a second"));
    (row.p50_ms, row.p99_ms) = (measured["p50_ms"].as_f64(), measured["p99_ms"].as_f64());
    context.report.add(row.at_most(Figure::P99, 20.0));
    Ok(())
}

/// How much longer ingest takes while one client asks for an expensive query again and again.
async fn ingest(context: &mut Context) -> Result<()> {
    let stored = context.options.events();
    let home = context.home("queries-ingest")?;
    let log = home.join("access.log");
    context.say(&format!("importing {stored} events of {DAYS} days"));
    access_log::write(&log, stored, DAYS)?;
    process::run(context.executable(), &home, &["import", &log.display().to_string()], &[])?;
    std::fs::remove_file(&log)?;
    let path = expensive();
    // The disk is measured before more events arrive than were imported.
    let server = context.server(&home, &[]).await?;
    ask(&server, &path).await?;
    server.stop().await?;
    let row = Row::of("store with segments", disk::database_bytes(&home)? as f64 / stored as f64, "bytes an event");
    context.report.add(row.at_most(Figure::Value, 120.0));

    let server = context.server(&home, &[]).await?;
    let idle = server.memory()?.now;
    ask(&server, &path).await?;

    let shape = Shape { visitor: true, ..Shape::default() };
    let events = Arc::new(Ring::events(&format!("{BASE}/event"), shape));
    let queries = Arc::new(Ring::get(&path));
    let (mut before, mut meanwhile, mut asking, mut slower) =
        (Rounds::default(), Rounds::default(), Rounds::default(), Vec::new());
    for round in 1..=context.options.rounds() {
        context.say(&format!("ingest beside an expensive query, round {round}"));
        let plan = context.plan(&server, CONNECTIONS, &events, Expect::status(201));
        let calm = duel::run(&mut context.report, "ingest without queries", plan.clone()).await?;
        let asked =
            Plan { warm: Duration::ZERO, length: PATIENCE, ..context.plan(&server, 1, &queries, Expect::status(200)) };
        let asked = Running::start(asked).await?;
        let busy = duel::run(&mut context.report, "ingest beside queries", plan).await?;
        let asked = asked.stop().await?;
        context.report.check("an expensive query", &asked);
        slower.push(busy.percentile(99.0) / calm.percentile(99.0).max(0.001));
        before.add(&calm, None);
        meanwhile.add(&busy, None);
        asking.add(&asked, None);
    }
    context.report.add(before.row("POST /event without queries", CONNECTIONS, 1.0));
    context.report.add(meanwhile.row("POST /event beside an expensive query", CONNECTIONS, 1.0));
    context.report.add(asking.row(&format!("the expensive query, {stored} events"), 1, 1.0));
    let row = Row::ratio("p99 of ingest beside a query to without", median(slower));
    context.report.add(row.at_most(Figure::Ratio, 2.0));
    let row = Row::of("memory of queries and ingest", (server.memory()?.peak - idle) as f64 / 1_048_576.0, "MiB");
    context.report.add(row);
    server.stop().await?;
    Ok(())
}

fn expensive() -> String {
    let query = json!({
        "metrics": ["visitors", "visits", "pageviews", "bounce_rate", "visit_duration"],
        "date_range": "90d", "dimensions": ["event:page", "visit:source"],
    });
    let escaped: String = query.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("{BASE}/query?q={escaped}")
}

/// Asks until there is an answer: segments are built within the bounds of several queries.
async fn ask(server: &Process, path: &str) -> Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut connection = Connection::open(server.addr, 1).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = connection.exchange(request.as_bytes()).await?;
        if answer.status == 200 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(answer.body).into_owned();
        ensure!(answer.status == 503 && Instant::now() < deadline, "answered {}: {text}", answer.status);
    }
}
