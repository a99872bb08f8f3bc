//! Logs: to standard error, as text or JSON lines, with fields instead of sentences.
//!
//! Never logged: addresses, user agents, query strings, payloads, visitors.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Starts logging. What is logged is `filter`: levels, or targets with levels, separated by
/// commas, such as `access=debug,info`; without one that can be read, everything from `info` up.
pub fn start(format: LogFormat, filter: Option<&str>) {
    let filter: Targets = filter.and_then(|filter| filter.parse().ok()).unwrap_or_else(everything);
    let (logs, lines) = (tracing_subscriber::registry().with(filter), fmt::layer().with_writer(std::io::stderr));
    // A second start, as tests in one process make it, changes nothing.
    let _ = match format {
        LogFormat::Text => logs.with(lines).try_init(),
        LogFormat::Json => logs.with(lines.json().flatten_event(true).with_current_span(false)).try_init(),
    };
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
