//! `import`: the arguments, a progress bar on a terminal, and the report.

use std::process::ExitCode;

use clap::ValueEnum;
use common::App;
use common::site::Site;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, say};
use crate::import::input::Input;
use crate::import::template::Template;
use crate::import::{Import, events};

/// What is imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Lines {
    /// Access logs; the format is recognised from the lines
    #[default]
    #[value(aliases = ["combined", "common"])]
    Log,
    /// Events that `export` wrote
    Events,
}

/// Parses `--site`.
pub(super) fn site(text: &str) -> Result<Site, String> {
    Site::parse(text).ok_or_else(|| format!("a site is {}", Site::RULE))
}

/// Parses `--vhost`.
pub(super) fn vhost(text: &str) -> Result<String, String> {
    crate::import::host(text).ok_or_else(|| "a host is a name like cv.example".to_owned())
}

/// Parses `--log-format`.
pub(super) fn template(text: &str) -> Result<Template, String> {
    Template::parse(text).map_err(|mistake| mistake.to_string())
}

/// Imports and prints the report. Fails when not one line could be read.
///
/// # Errors
/// When a file cannot be read or the store cannot take events.
pub(super) async fn run(app: &App, arguments: super::Import) -> Result<ExitCode, Failure> {
    let inputs: Vec<Input> = arguments.files.into_iter().map(Input::new).collect();
    let bar = bar(&inputs);
    if arguments.format == Lines::Events {
        let of_logs = arguments.site.is_some()
            || arguments.rebase
            || arguments.finished
            || arguments.log_format.is_some()
            || !arguments.vhost.is_empty();
        if of_logs {
            return Err(Failure::Usage(
                "--site, --vhost, --log-format, --finished and --rebase are for access logs: events have a site and a time"
                    .into(),
            ));
        }
        let report = events::run(app, &inputs, app.now(), &bar).await;
        bar.finish_and_clear();
        let report = report?;
        say(&report);
        return Ok(code(report.is_unreadable()));
    }
    let import = Import {
        inputs,
        site: arguments.site.unwrap_or_default(),
        vhosts: arguments.vhost,
        format: arguments.log_format,
        finished: arguments.finished,
        rebase: arguments.rebase,
    };
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
