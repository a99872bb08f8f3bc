//! `export`: the arguments, a progress line on a terminal, and where the lines go.

use std::io::{self, BufWriter};
use std::process::ExitCode;

use common::App;
use indicatif::{ProgressBar, ProgressStyle};

use super::Failure;
use crate::export::{self, Cursor, ExportError, file};

/// Parses `--after`.
pub(super) fn cursor(text: &str) -> Result<Cursor, String> {
    Cursor::parse(text)
        .ok_or_else(|| "the place behind an event is SITE/CREATED_AT/ID, as its line has them".to_owned())
}

/// Writes the lines, and to the standard error how many there were.
///
/// # Errors
/// When the output cannot be written or the store cannot be asked.
pub(super) async fn run(app: &App, arguments: super::Export) -> Result<ExitCode, Failure> {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} exporting {msg}: {human_pos} events, {per_sec}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let written = match &arguments.output {
        Some(path) => {
            let (file, after) =
                if arguments.continuing { file::reopen(path)? } else { (file::create(path)?, arguments.after) };
            let name = path.display().to_string();
            let mut out = BufWriter::new(file);
            let written = export::run(app, after, &name, &mut out, &bar).await?;
            // The store may be deleted next, relying on the file.
            let synced = out.get_ref().sync_all();
            synced.map_err(|source| ExportError::Write { name, source })?;
            written
        }
        None => {
            let mut out = BufWriter::new(io::stdout());
            export::run(app, arguments.after, "the standard output", &mut out, &bar).await?
        }
    };
    bar.finish_and_clear();
    let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("{written} events exported\n"));
    Ok(ExitCode::SUCCESS)
}
