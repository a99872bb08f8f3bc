//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};

/// Measures local-runtime against a ceiling, an axum handler that does nothing, in one run.
///
/// Prints one table: requests (or events) a second, 50 % and 99 % latencies, the ratio to the
/// ceiling measured beside it, and the goals of SPEC section 11. Exits with 1 when the server
/// gave an answer that it should not give; a goal missed is said, and is not a failure.
#[derive(Debug, Parser)]
#[command(name = "bench", subcommand_negates_reqs = true)]
pub(crate) struct Options {
    /// The server to measure [default: local-runtime beside this executable]
    #[arg(long, env = "LOCAL_RUNTIME_BIN", value_name = "FILE")]
    server: Option<PathBuf>,

    /// Sections to run [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SECTION,…")]
    only: Vec<Section>,

    /// A smoke test in a minute: short rounds and few events; its figures mean little
    #[arg(long)]
    pub(crate) quick: bool,

    /// Length of one measurement [default: 3, with --quick 0.5]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,

    /// Rounds of each measurement, of which the median counts [default: 3, with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: Option<u16>,

    /// Stored events of the sections about size [default: 1000000, with --quick 20000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    events: Option<u64>,

    /// Old events that the section `cleanup` deletes [default: 1000000, with --quick 20000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    old_events: Option<u64>,

    /// Worker threads of the load generator
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads)]
    pub(crate) threads: usize,

    /// The Python that has DuckDB, for the section `queries` [default: DuckDB is left out]
    #[arg(long, value_name = "FILE")]
    pub(crate) duckdb: Option<PathBuf>,

    /// Where the temporary directory goes; a memory file system would make fsync free
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Writes the figures as JSON too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// What this executable does for itself.
    #[command(subcommand)]
    pub(crate) hidden: Option<Hidden>,
}

/// Sub-commands that only this program itself uses.
#[derive(Debug, Subcommand)]
pub(crate) enum Hidden {
    /// Serves the handlers that do nothing.
    #[command(hide = true)]
    Ceiling,
}

/// A part of the measurement that runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// POST /event at 8, 64 and 256 connections
    Ingest,
    /// POST /events, 100 a batch
    Batch,
    /// The six reads, alone and beside two writers
    Reads,
    /// Reads, disk, memory and start with few and with many stored events
    Size,
    /// The retention run under load
    Cleanup,
    /// The live feed: a thousand clients and a minute of 200 events a second
    Live,
    /// Size, waking and memory of the functions that `make lambda` built, if it did
    Lambda,
    /// Queries of one and ten million events beside DuckDB, and ingest beside them
    Queries,
    /// PostgreSQL and Redis beside the embedded engine, and Redis pausing
    Postgres,
    /// What 90 days take in PostgreSQL and Redis
    PostgresSize,
}

impl Options {
    /// What to run, in the order of the table whatever the order asked for.
    pub(crate) fn sections(&self) -> Vec<Section> {
        Section::value_variants()
            .iter()
            .copied()
            .filter(|section| self.only.is_empty() || self.only.contains(section))
            .collect()
    }

    /// The server's executable.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn server(&self) -> Result<PathBuf> {
        let path = match &self.server {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("local-runtime"),
        };
        path.canonicalize()
            .with_context(|| format!("no server at {}: cargo build --release -p local-runtime", path.display()))
    }

    /// Length of one measurement.
    pub(crate) fn length(&self) -> Duration {
        self.seconds.unwrap_or(Duration::from_millis(if self.quick { 500 } else { 3_000 }))
    }

    /// How often each measurement is repeated.
    pub(crate) fn rounds(&self) -> u16 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// Stored events of the large database.
    pub(crate) fn events(&self) -> u64 {
        self.events.unwrap_or(if self.quick { 20_000 } else { 1_000_000 })
    }

    /// Clients of the live feed.
    pub(crate) fn live_clients(&self) -> usize {
        if self.quick { 100 } else { 1_000 }
    }

    /// How long the live feed is fed.
    pub(crate) fn live_length(&self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { 60 })
    }

    /// Events of 90 days that are asked about, and whether goals are set for so many.
    pub(crate) fn query_sizes(&self) -> Vec<(u64, bool)> {
        if self.quick { vec![(100_000, false)] } else { vec![(1_000_000, false), (10_000_000, true)] }
    }

    /// How long events arrive while today's figures are asked for.
    pub(crate) fn today_length(&self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { 20 })
    }

    /// Events that the retention run deletes.
    pub(crate) fn old_events(&self) -> u64 {
        self.old_events.unwrap_or(if self.quick { 20_000 } else { 1_000_000 })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.1..=600.0).contains(&number) => Ok(Duration::from_secs_f64(number)),
        _ => Err("a number from 0.1 to 600 is wanted".to_owned()),
    }
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if (1..=64).contains(&number) => Ok(number),
        _ => Err("a number from 1 to 64 is wanted".to_owned()),
    }
}
