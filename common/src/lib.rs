//! The core of maicivy-analytics: everything that all functions share.
//!
//! Read in this order:
//!
//! | module | what it is |
//! |---|---|
//! | [`time`], [`period`] | instants, days, ISO weeks, months: all UTC |
//! | [`site`], [`visitor`], [`event_type`], [`url`], [`event`], [`json`] | the vocabulary: parsed once, valid ever after |
//! | [`view_id`] | a page view that the server and the page may both report |
//! | [`cv`] | themes and letters of an interactive CV |
//! | [`measure`] | what is derived from events at ingest, and how questions are answered |
//! | [`store`] | the storage contract, its engines and its conformance suite |
//! | [`identity`], [`bots`], [`outcome`] | who sent it, and what became of it |
//! | [`collect`] | the write path: filter, identify, append, account |
//! | [`app`], [`config`], [`metrics`], [`source`] | what a process holds |
//! | [`access`] | tokens, and what they allow |
//! | [`http`] | the envelope, errors and parameters that all handlers share |
//! | [`geoip`] | places of addresses, from a database of the operator's |
//! | [`retention`], [`space`] | the cleanup run, and the bound of the store's size |
//!
//! Time, event ids and secrets are passed in ([`source`]). Engines use randomness of their own only
//! where it shows in no result, such as retry delays. HTTP ends at [`http`]; the service and the
//! engines know no status codes.

pub mod access;
pub mod app;
pub mod bots;
pub mod collect;
pub mod config;
pub mod cv;
pub mod event;
pub mod event_type;
#[cfg(any(fuzzing, feature = "testing"))]
pub mod fuzzing;
pub mod geoip;
pub mod http;
#[cfg(any(feature = "dynamodb", feature = "jwt"))]
mod https;
pub mod identity;
pub mod json;
mod known;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod measure;
pub mod metrics;
pub mod not_stored;
pub mod outcome;
pub mod period;
pub mod retention;
pub mod site;
pub mod source;
pub mod space;
pub mod store;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod url;
pub mod view_id;
pub mod visitor;
pub mod visitor_data;

pub use app::App;
