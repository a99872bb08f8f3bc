//! Logs: to standard error, as text or JSON lines, with fields instead of sentences.
//!
//! Never logged: addresses, user agents, query strings, payloads, visitors.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Starts logging. What is logged is `filter`: levels, or targets with levels, separated by
/// commas, such as `access=debug,info`; without one that can be read, everything from `info` up.
pub fn start(format: LogFormat, filter: Option<&str>) {
    let filter = filter.and_then(asked_for).unwrap_or_else(everything);
    let (logs, mut lines) = (tracing_subscriber::registry().with(filter), fmt::layer().with_writer(std::io::stderr));
    // On a terminal there are colours, unless NO_COLOR is set.
    if !std::io::stderr().is_terminal() {
        lines.set_ansi(false);
    }
    // A second start, as tests in one process make it, changes nothing.
    let _ = match format {
        LogFormat::Text => logs.with(lines).try_init(),
        LogFormat::Json => logs.with(lines.json().flatten_event(true).with_current_span(false)).try_init(),
    };
}

/// What a filter asks for. Errors of targets that it does not name are not hidden by it.
fn asked_for(filter: &str) -> Option<Targets> {
    let targets: Targets = filter.parse().ok()?;
    let silent = targets.default_level().is_none();
    Some(if silent { targets.with_default(LevelFilter::ERROR) } else { targets })
}

fn everything() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_target("refinery_core", LevelFilter::WARN)
}

/// Starts logging in Lambda: JSON lines from `info` up, each with the platform's id of the
/// invocation that it belongs to, in `span`.
#[cfg(feature = "lambda")]
pub fn start_in_lambda() {
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry().with(everything()).with(lines).try_init();
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn filters_are_levels_and_targets() {
        for (filter, target, level, passes) in [
            ("warn", "common", Level::WARN, true),
            ("warn", "common", Level::INFO, false),
            ("access=debug", "access", Level::DEBUG, true),
            ("access=debug", "common", Level::ERROR, true),
            ("access=debug", "common", Level::WARN, false),
            ("access=warn,info", "access", Level::INFO, false),
            ("access=warn,info", "common", Level::INFO, true),
            ("off", "common", Level::ERROR, false),
        ] {
            assert_eq!(asked_for(filter).unwrap().would_enable(target, &level), passes, "{filter} {target} {level}");
        }
        assert!(asked_for("access=loud").is_none());
        assert!(everything().would_enable("common", &Level::INFO));
        assert!(!everything().would_enable("refinery_core::runner", &Level::INFO));
    }
}
