//! `import`: the arguments, a progress bar when somebody looks, and the report.

use std::process::ExitCode;

use common::App;
use common::site::Site;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, say};
use crate::import::{Import, Report, input::Input};

/// Parses `--site`.
pub(super) fn site(text: &str) -> Result<Site, String> {
    Site::parse(text).ok_or_else(|| format!("a site is {}", Site::RULE))
}

/// Imports and prints the report. Fails when not one line could be read.
///
/// # Errors
/// When a file cannot be read or the store cannot take events.
pub(super) async fn run(app: &App, arguments: super::Import) -> Result<ExitCode, Failure> {
    let import = Import {
        inputs: arguments.files.into_iter().map(Input::new).collect(),
        site: arguments.site,
        format: arguments.format,
        rebase: arguments.rebase,
    };
    let bar = bar(&import);
    let report: Result<Report, _> = crate::import::run(app, &import, app.now(), &bar).await;
    bar.finish_and_clear();
    let report = report?;
    say(&report);
    Ok(if report.is_unreadable() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn bar(import: &Import) -> ProgressBar {
    let sizes: Option<u64> = import.inputs.iter().map(Input::size).sum();
    let (bar, template) = match sizes {
        Some(bytes) => {
            (ProgressBar::new(bytes), "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} to go")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {msg} {bytes}, {bytes_per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
