//! Logs: to standard error, as text or JSON lines, with fields instead of sentences.
//!
//! Never logged: addresses, user agents, query strings, payloads, visitors.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::LogFormat;

/// The target of spans, which are for traces and in no log.
pub const SPANS: &str = "traces";

/// Where spans go.
pub type Spans = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging. What is logged is `filter`: levels, or targets with levels, separated by
/// commas, such as `access=debug,info`; without one that can be read, everything from `info` up.
/// Spans go to `spans`, if there is something that takes them.
pub fn start(format: LogFormat, filter: Option<&str>, spans: Option<Spans>) {
    let filter = filter.and_then(asked_for).unwrap_or_else(everything).with_target(SPANS, LevelFilter::OFF);
    let spans = spans.map(|spans| spans.with_filter(Targets::new().with_target(SPANS, LevelFilter::DEBUG)));
    let (all, mut lines) = (tracing_subscriber::registry().with(spans), fmt::layer().with_writer(std::io::stderr));
    // On a terminal there are colours, unless NO_COLOR is set.
    if !std::io::stderr().is_terminal() {
        lines.set_ansi(false);
    }
    // A second start, as tests in one process make it, changes nothing.
    let _ = match format {
        LogFormat::Text => all.with(lines.with_filter(filter)).try_init(),
        LogFormat::Json => {
            all.with(lines.json().flatten_event(true).with_current_span(false).with_filter(filter)).try_init()
        }
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
