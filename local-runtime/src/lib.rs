//! All functions in one process, with everything that a machine of one's own needs besides:
//! live feed, metrics, health, timer and sub-commands.
//!
//! | module | what it is |
//! |---|---|
//! | [`server`](crate::run) | accepts connections until shutdown begins, then drains |
//! | `router` | all routes and the layers around them |
//! | `live` | the live feed: its protocol, its hub, its clients |
//! | [`page_views`] | the tower layer that tracks page views of any axum site |
//! | `limits` | the rate limit |
//! | `timer` | the retention run of the day, the end of salts |
//! | `health`, `exposition`, `openapi` | what operators and programs ask |
//! | `traces` | spans, sent by OTLP |
//! | `static_files` | the files of a site of the user's own |
//! | [`cli`], [`import`], [`export`], [`demo`] | the program's sub-commands |
//! | [`event_line`] | an event as a line of JSON, as exports have it |

mod address;
mod admission;
pub mod allocator;
pub mod cli;
mod connection;
pub mod demo;
pub mod event_line;
pub mod export;
mod exposition;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod health;
pub mod import;
mod in_flight;
mod limits;
mod live;
mod openapi;
pub mod page_views;
mod router;
mod server;
mod services;
mod static_files;
mod store_health;
#[cfg(test)]
mod testing;
mod timer;
mod traces;
mod turns;

pub use self::page_views::PageViews;
pub use self::server::{Options, RunError, run};
pub use self::static_files::StaticDirError;
