//! `make bench`: what the product does in a second, measured on the machine that asks.
//!
//! The real `local-runtime` runs as a process of its own, and so does the ceiling, an axum
//! handler that does nothing. One load generator drives both in turn, round after round, so that
//! a noisy neighbour or a warm processor falls on both, and the ratio survives what the absolute
//! figures do not. Everything is loopback, bounded in time and count, and gone with the
//! temporary directory at the end.
//!
//! Where to read on:
//! - what is measured, a file a section: [`ingest`], [`batch`], [`reads`], [`size`],
//!   [`cleanup`], [`live`], [`lambda`], [`queries`];
//! - the other engine: [`postgres`], [`postgres_size`], on [`stores`];
//! - what is sent: [`events`] (the mix), [`request`] (bytes ready for the wire), [`access_log`];
//! - how it is driven: [`connection`], [`load`], [`duel`], [`fill`];
//! - what is driven: [`process`], [`ceiling`], on what: [`machine`], [`disk`];
//! - what is said: [`report`].

mod access_log;
mod batch;
mod ceiling;
mod cleanup;
mod connection;
mod context;
mod dice;
mod disk;
mod duel;
mod events;
mod fill;
mod ingest;
mod lambda;
mod live;
mod load;
mod machine;
mod options;
mod postgres;
mod postgres_size;
mod process;
mod queries;
mod reads;
mod report;
mod request;
mod size;
mod stores;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::context::Context;
use crate::options::{Hidden, Options, Section};

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if let Some(Hidden::Ceiling) = options.hidden {
        ceiling::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    // Few workers: the generator shares the machine with what it measures.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .thread_name("load")
        .enable_all()
        .build()?;
    runtime.block_on(measure(options))
}

async fn measure(options: Options) -> Result<ExitCode> {
    let json = options.json.clone();
    let sections = options.sections();
    let mut context = Context::open(options).await?;
    for section in sections {
        match section {
            Section::Ingest => ingest::measure(&mut context).await?,
            Section::Batch => batch::measure(&mut context).await?,
            Section::Reads => reads::measure(&mut context).await?,
            Section::Size => size::measure(&mut context).await?,
            Section::Cleanup => cleanup::measure(&mut context).await?,
            Section::Live => live::measure(&mut context).await?,
            Section::Lambda => lambda::measure(&mut context).await?,
            Section::Queries => queries::measure(&mut context).await?,
            Section::Postgres => postgres::measure(&mut context).await?,
            Section::PostgresSize => postgres_size::measure(&mut context).await?,
        }
    }
    let report = context.close()?;
    report.print()?;
    if let Some(path) = json {
        report.save(&path)?;
    }
    Ok(if report.has_faults() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
