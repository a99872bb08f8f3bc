//! The program's sub-commands and exit codes.
//!
//! 0 for what went well; 1 for a failed run or a difference found; 64 for a mistake in the
//! arguments or in the configuration.

mod backup;
mod client;
mod dotenv;
mod export;
mod healthcheck;
mod import;
mod recount;
mod serve;
mod share;
mod token;
mod variables;
mod visitor;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use common::App;
use common::app::{Life, OpenError};
use common::collect::error_text;
use common::config::{Config, ConfigError};
use common::source::System;
use common::store::StoreError;
use common::telemetry;
use opentelemetry_otlp::ExporterBuildError;

pub(crate) use self::client::{Answer, MOST_BYTES, Request};
pub(crate) use self::serve::reachable;
use crate::demo::{Demo, DemoError};
use crate::export::ExportError;
use crate::import::ImportError;
use crate::traces::Traces;

/// Exit code for mistakes in arguments or configuration (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

/// Real-time, privacy-first web analytics in one process.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Without a command it serves. Everything else is configured in environment variables; \
                  --help lists them.",
    after_long_help = variables::help()
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
    /// What is logged: levels, or targets with levels, separated by commas.
    #[arg(long, env = "RUST_LOG", hide = true, global = true)]
    log_filter: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API, the live feed, the dashboard and the metrics until SIGTERM or Ctrl-C
    Serve(Serve),
    /// Import access logs, or events that `export` wrote
    ///
    /// Of access logs, page views of people are stored, everything else is counted.
    ///
    /// Parts of pages, failed requests, bots and what is older than the retention are left out
    /// and counted; lines that cannot be read are listed with their numbers and skipped. Importing
    /// a file again stores nothing twice, also when it has grown or was packed.
    ///
    /// Read are Combined and Common lines, with or without the virtual host, of Apache, nginx,
    /// lighttpd, Traefik and nginx Proxy Manager; JSON of Caddy, Traefik, nginx and others, also
    /// inside Docker's; CloudFront, AWS load balancers, IIS (W3C Extended); and any other format
    /// that --log-format gives. Times without a zone are UTC.
    ///
    /// To follow a log: tail -n +1 -F access.log | local-runtime import -
    Import(Import),
    /// Write all events as lines of JSON, visitors included, to move them or to keep them
    ///
    /// What was stored before it began stands in it once, whatever arrives meanwhile. Salts and the
    /// key of pseudonyms are not exported, nor are figures of which the events are gone.
    Export(Export),
    /// Copy the embedded store into a file, while it is in use, and verify the copy
    ///
    /// The copy has all events and figures, and no secrets: after it is restored, visitors without an
    /// id of their own are counted anew on that day. Other engines have backups of their own.
    Backup(Backup),
    /// Put a file that `backup` wrote in the place of the embedded store
    ///
    /// The server must be stopped.
    Restore(Restore),
    /// Send the events of made-up visitors to a running server, to have something to look at
    Demo(Demo),
    /// Delete what is older than the retention, and print a report as JSON
    Cleanup,
    /// Recount all aggregates from the events, compare segments and summaries with them, and list what
    /// differs
    Verify,
    /// Replace all aggregates, segments and summaries by what the events say
    Rebuild,
    /// Make a token, and print it once with its entry for ANALYTICS_TOKENS
    Token(token::Token),
    /// Make a link that shows one site's dashboard, or list and revoke such links
    Share(share::Share),
    /// Export or erase what is stored of one visitor
    Visitor(visitor::Visitor),
    /// Ask the server at ANALYTICS_ADDR whether it is ready, for container health checks
    Healthcheck,
}

#[derive(Debug, Default, Args)]
struct Serve {
    /// Also serve a site of your own from this folder, and count its page views
    #[arg(long, value_name = "DIR")]
    static_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Import {
    /// Access logs or exports, plain, .gz, .bz2, .zst or .xz, in order; - is the standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The site that access logs belong to [default: default]
    #[arg(long, value_parser = import::site)]
    site: Option<common::site::Site>,
    /// Import only requests to this host, of logs that name it; may be repeated
    #[arg(long, value_name = "NAME", value_parser = import::vhost)]
    vhost: Vec<String>,
    /// The format as the server's configuration has it, of nginx ($remote_addr …) or Apache (%h …),
    /// where the lines alone do not show it
    #[arg(long, value_name = "FORMAT", value_parser = import::template)]
    log_format: Option<crate::import::template::Template>,
    /// What the lines are
    #[arg(long, value_enum, default_value_t)]
    format: import::Lines,
    /// The files are complete: also read a last line that has no line break
    #[arg(long)]
    finished: bool,
    /// Move all times by whole days so that the newest line's day is today, to try an old log
    #[arg(long)]
    rebase: bool,
}

#[derive(Debug, Args)]
struct Export {
    /// The file to write, readable for its owner only [default: the standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on with a file that an earlier export left half written
    #[arg(long = "continue", requires = "output", conflicts_with = "after")]
    continuing: bool,
    /// Begin behind this event: what an earlier export ended with
    #[arg(long, value_name = "SITE/CREATED_AT/ID", value_parser = export::cursor)]
    after: Option<crate::export::Cursor>,
}

#[derive(Debug, Args)]
struct Backup {
    /// The file to write, readable for its owner only; it must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
struct Restore {
    /// The file that `backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace a store that is there, and all events in it
    #[arg(long)]
    force: bool,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error("traces: {0}")]
    Traces(#[from] ExporterBuildError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    const fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) | Self::Traces(_) => USAGE,
            Self::Import(ImportError::Site(_) | ImportError::Explicit | ImportError::RebasedStandardInput) => USAGE,
            _ => 1,
        }
    }
}

/// Reads the arguments and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    // Before the arguments, since variables stand in for some of them.
    let dotenv = match dotenv::load() {
        Ok(dotenv) => dotenv,
        Err(failure) => return failed(&failure),
    };
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            // What cannot be printed has no reader.
            let _ = told.print();
            return if told.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    run(cli, dotenv).unwrap_or_else(|failure| failed(&failure))
}

fn failed(failure: &Failure) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: {}", error_text(failure));
    failure.code().into()
}

fn run(cli: Cli, dotenv: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let config = Config::from_env().map_err(|error| match &dotenv {
        Some(path) => Failure::Usage(format!("{error}; {} was read too", path.display())),
        None => error.into(),
    })?;
    if let Some(Command::Healthcheck) = cli.command {
        return healthcheck::run(config.addr).map(|()| ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    let traces = match (&config.otlp_endpoint, &cli.command) {
        (Some(_), None | Some(Command::Serve(_))) => Some(Traces::new(runtime.handle())?),
        _ => None,
    };
    telemetry::start(config.log, cli.log_filter.as_deref(), traces.as_ref().map(Traces::spans));
    if let Some(path) = dotenv {
        tracing::info!(path = %path.display(), "variables that the environment does not set are from this file");
    }
    let done = runtime.block_on(command(cli, config));
    if let Some(traces) = traces {
        traces.stop();
    }
    done
}

async fn command(cli: Cli, config: Config) -> Result<ExitCode, Failure> {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(Serve { static_dir }) => serve::run(config, static_dir).await?,
        Command::Demo(demo) if demo.is_history() => {
            let app = open(Life::Import, config).await?;
            let stored = demo.store(&app).await;
            app.store.close().await;
            say(stored?);
        }
        Command::Demo(demo) => say(demo.run(config.addr).await?),
        Command::Token(token) => say(token.make()?),
        Command::Share(arguments) => {
            let app = open(Life::Command, config).await?;
            let done = arguments.run(&app).await;
            app.store.close().await;
            done?;
        }
        Command::Visitor(arguments) => {
            let app = open(Life::Command, config).await?;
            let done = arguments.run(&app).await;
            app.store.close().await;
            done?;
        }
        Command::Healthcheck => healthcheck::run(config.addr)?,
        Command::Import(arguments) => {
            let app = open(Life::Import, config).await?;
            let code = import::run(&app, arguments).await;
            app.store.close().await;
            return code;
        }
        Command::Export(arguments) => {
            let app = open(Life::Command, config).await?;
            let code = export::run(&app, arguments).await;
            app.store.close().await;
            return code;
        }
        Command::Backup(Backup { file }) => return backup::backup(&config, file).await,
        Command::Restore(Restore { file, force }) => return backup::restore(&config, file, force).await,
        Command::Cleanup => {
            let app = open(Life::Command, config).await?;
            let report = common::retention::run(&app, app.now()).await;
            app.store.close().await;
            say(serde_json::to_string(&report?).map_err(|error| Failure::Failed(error.to_string()))?);
        }
        Command::Verify => return recount::run(open(Life::Command, config).await?, recount::Recounting::Verify).await,
        Command::Rebuild => {
            return recount::run(open(Life::Command, config).await?, recount::Recounting::Rebuild).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(life: Life, config: Config) -> Result<App, Failure> {
    Ok(App::open_for(life, config, Arc::new(System)).await?)
}

/// Prints a line on the standard output. Errors are ignored: it may be closed.
fn say(text: impl fmt::Display) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_is_the_default_and_takes_the_same_options() {
        let dir = |arguments: &[&str]| {
            let cli = Cli::try_parse_from(arguments).unwrap();
            match cli.command.unwrap_or(Command::Serve(cli.serve)) {
                Command::Serve(serve) => serve.static_dir,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(dir(&["local-runtime"]), None);
        assert_eq!(dir(&["local-runtime", "--static-dir", "x"]), Some("x".into()));
        assert_eq!(dir(&["local-runtime", "serve", "--static-dir", "x"]), Some("x".into()));
        assert_eq!(dir(&["local-runtime", "serve", "--log-filter", "debug"]), None);
    }

    #[test]
    fn the_help_lists_every_variable() {
        let help = Cli::command().render_long_help().to_string();
        for variable in common::config::VARIABLES {
            assert!(help.contains(variable.name) && help.contains(variable.meaning), "{}", variable.name);
        }
    }
}
