//! Logs: to standard error, as text or JSON lines, with fields instead of sentences.
//!
//! Never logged: addresses, user agents, query strings, payloads, visitors.

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging. What is logged is `filter`, in the syntax of tracing's `EnvFilter`, or
/// everything from `info` up.
pub fn start(format: LogFormat, filter: Option<&str>) {
    let filter = filter
        .and_then(|filter| EnvFilter::try_new(filter).ok())
        .unwrap_or_else(|| EnvFilter::new("info,refinery_core=warn"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, as tests in one process make it, changes nothing.
    let _ = match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().flatten_event(true).with_current_span(false).try_init(),
    };
}

/// Starts logging in Lambda: JSON lines from `info` up, each with the platform's id of the
/// invocation that it belongs to, in `span`.
#[cfg(feature = "lambda")]
pub fn start_in_lambda() {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;

    // `EnvFilter` would bring a language that nobody speaks here.
    let targets = Targets::new().with_default(LevelFilter::INFO).with_target("refinery_core", LevelFilter::WARN);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
}
