//! The harness of the tests from outside: real processes, the wire, and nothing else of the
//! product.
//!
//! | module | what it is |
//! |---|---|
//! | [`binary`] | the built programs |
//! | [`home`] | a directory and an environment of its own, for any number of runs |
//! | [`server`] | a running server; dies with its test |
//! | [`http`], [`answer`] | a small HTTP/1.1 client that can be as odd as a test needs |
//! | [`ledger`] | senders, and what they sent against what the server says |
//! | [`lambda`] | a Lambda runtime API, and functions that run on it |
//! | [`template`] | the deployment, as `template.yaml` describes it |
//! | [`live`] | a client of the live feed |
//! | [`scrape`] | `/metrics`, read |
//! | [`access_log`], [`samples`] | access logs to import, visits to ask about |
//! | [`engine`] | which engine the product runs on, and a fresh store of it |
//! | [`servers`], [`proxy`] | database servers of a test's own, and a connection to them that can fail |
//! | [`clock`], [`wait`], [`random`] | UTC days, deadlines, seeds |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test harness fails its test by panicking"
)]

pub mod access_log;
pub mod answer;
pub mod binary;
pub mod clock;
pub mod engine;
pub mod home;
pub mod http;
pub mod lambda;
pub mod ledger;
pub mod live;
pub mod proxy;
pub mod random;
pub mod samples;
pub mod scrape;
pub mod server;
pub mod servers;
pub mod template;
pub mod wait;

use serde_json::Value;

/// The path that all questions and events start with.
pub const API: &str = "/api/v1/analytics";

/// A user agent of a browser, not of a bot.
pub const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// A user agent of a bot.
pub const BOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/// A fresh UUID, for a visitor or an event.
#[must_use]
pub fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A whole number that must be there.
#[must_use]
#[track_caller]
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a whole number: {value}"))
}

/// A string that must be there.
#[must_use]
#[track_caller]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}

/// A list that must be there.
#[must_use]
#[track_caller]
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not an array: {value}"))
}
