//! `import`: the arguments, a progress bar when somebody looks, and the report.

use std::process::ExitCode;

use clap::ValueEnum;
use common::App;
use common::site::Site;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, say};
use crate::import::input::Input;
use crate::import::line::Format;
use crate::import::{Import, events};

/// What is imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Lines {
    /// Access logs with user agents
    #[default]
    Combined,
    /// Access logs without
    Common,
    /// Events that `export` wrote
    Events,
}

/// Parses `--site`.
pub(super) fn site(text: &str) -> Result<Site, String> {
    Site::parse(text).ok_or_else(|| format!("a site is {}", Site::RULE))
}

/// Imports and prints the report. Fails when not one line could be read.
///
/// # Errors
/// When a file cannot be read or the store cannot take events.
pub(super) async fn run(app: &App, arguments: super::Import) -> Result<ExitCode, Failure> {
    let inputs: Vec<Input> = arguments.files.into_iter().map(Input::new).collect();
    let bar = bar(&inputs);
    let format = match arguments.format {
        Lines::Combined => Format::Combined,
        Lines::Common => Format::Common,
        Lines::Events if arguments.site.is_some() || arguments.rebase => {
            return Err(Failure::Usage(
                "--site and --rebase are for access logs: events have a site and a time".into(),
            ));
        }
        Lines::Events => {
            let report = events::run(app, &inputs, app.now(), &bar).await;
            bar.finish_and_clear();
            let report = report?;
            say(&report);
            return Ok(code(report.is_unreadable()));
        }
    };
    let import = Import { inputs, site: arguments.site.unwrap_or_default(), format, rebase: arguments.rebase };
    let report = crate::import::run(app, &import, app.now(), &bar).await;
    bar.finish_and_clear();
    let report = report?;
    say(&report);
    Ok(code(report.is_unreadable()))
}

fn code(unreadable: bool) -> ExitCode {
    if unreadable { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn bar(inputs: &[Input]) -> ProgressBar {
    let sizes: Option<u64> = inputs.iter().map(Input::size).sum();
    let (bar, template) = match sizes {
        Some(bytes) => {
            (ProgressBar::new(bytes), "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} to go")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {msg} {bytes}, {bytes_per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
