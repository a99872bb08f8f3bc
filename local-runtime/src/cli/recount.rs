//! `verify` and `rebuild`, of aggregates and of what else is derived from events.

use std::process::ExitCode;
use std::sync::Arc;

use common::App;
use common::store::{Progress, Recount, StoreError};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, say};

/// What is done with differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recounting {
    /// They are listed, and make the run fail.
    Verify,
    /// They are listed and repaired.
    Rebuild,
}

/// Recounts everything, with a bar on a terminal, and prints what was found.
///
/// # Errors
/// When the store cannot.
pub(super) async fn run(app: App, recounting: Recounting) -> Result<ExitCode, Failure> {
    let (bar, progress) = bar("recounting");
    let recount = recount(&app, recounting, &bar, progress).await;
    bar.finish_and_clear();
    app.store.close().await;
    let recount = recount?;
    say(told(&recount, recounting));
    let failed = recounting == Recounting::Verify && recount.different > 0;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Aggregates first, then segments and summaries, which are read without making anything wait.
async fn recount(
    app: &App,
    recounting: Recounting,
    bar: &ProgressBar,
    progress: Progress,
) -> Result<Recount, StoreError> {
    let (store, now) = (&*app.store, app.now());
    let (mut recount, repair) = match recounting {
        Recounting::Verify => (store.verify(now, Arc::clone(&progress)).await?, false),
        Recounting::Rebuild => (store.rebuild(now, Arc::clone(&progress)).await?, true),
    };
    bar.reset();
    bar.set_message("comparing segments and summaries");
    recount.add(app.measure.compare_derived(store, repair, now, progress).await?);
    Ok(recount)
}

/// A progress bar of events, and what moves it.
pub(super) fn bar(what: &'static str) -> (ProgressBar, Progress) {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} events, {eta} to go");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    let moved = bar.clone();
    let progress: Progress = Arc::new(move |done, all| {
        moved.set_length(all);
        moved.set_position(done);
    });
    (bar, progress)
}

fn told(recount: &Recount, recounting: Recounting) -> String {
    let mut text = String::new();
    for difference in &recount.differences {
        text += &format!("{}: stored {}, recounted {}\n", difference.aggregate, difference.found, difference.expected);
    }
    let unlisted = recount.different.saturating_sub(recount.differences.len() as u64);
    if unlisted > 0 {
        text += &format!("and {unlisted} more\n");
    }
    text += &format!("{} events recounted, {} aggregates compared: ", recount.events, recount.aggregates);
    text += &match (recount.different, recounting) {
        (0, _) => "all agree".to_owned(),
        (n, Recounting::Verify) => format!("{n} differ; rebuild repairs them"),
        (n, Recounting::Rebuild) => format!("{n} differed and are repaired"),
    };
    text
}

#[cfg(test)]
mod tests {
    use common::store::Difference;

    use super::*;

    #[test]
    fn differences_are_readable() {
        let mut recount = Recount { events: 10, aggregates: 4, ..Recount::default() };
        assert_eq!(told(&recount, Recounting::Verify), "10 events recounted, 4 aggregates compared: all agree");
        recount.differences.push(Difference { aggregate: "default 2025-12-08 all".into(), expected: 5, found: 4 });
        recount.different = 3;
        assert_eq!(
            told(&recount, Recounting::Verify),
            "default 2025-12-08 all: stored 4, recounted 5\nand 2 more\n\
             10 events recounted, 4 aggregates compared: 3 differ; rebuild repairs them"
        );
        assert!(told(&recount, Recounting::Rebuild).ends_with("3 differed and are repaired"));
    }
}
