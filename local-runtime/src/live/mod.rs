//! The live feed: WebSocket `/ws/analytics[?site=…][&after=<event id>]`.
//!
//! # Protocol
//! All messages are JSON objects in text frames. Those about an event have an `id`; those with
//! which the server speaks for itself have none, whatever their `type`.
//!
//! Server to client:
//!
//! | message | when |
//! |---|---|
//! | `{"type":"initial_stats","data":{…}}` | first of all, and on request; the data of `/realtime` |
//! | `{"type":"heartbeat","data":{…}}` | every 5 s; the data of `/realtime` |
//! | `{"type":"<event_type>","id","visitor_id","timestamp","page_url","data"}` | for every stored event of the site |
//! | `{"type":"gap"}` | events were missed that are not sent any more; `/timeline` has them |
//! | `{"type":"pong","time":<Unix seconds>}` | in answer to `ping` |
//! | `{"type":"error","error":"…"}` | in answer to anything that cannot be understood or done |
//!
//! Client to server: `{"type":"refresh_stats"}`, `{"type":"ping"}`, and
//! `{"type":"resume","after":"<event id>"}`. At most one message a second, five at once; a client that
//! keeps sending more is closed with 1008, a message of more than 4 KiB closes with 1009.
//!
//! # Which events, in which order
//! Every event has a place in its store's order of commits
//! ([`Position`](common::store::Position)).
//! - From connecting on, every event that the feed passes on is sent once, in order of place.
//! - A client that has fallen behind is sent what it missed from memory or from the store, in
//!   order. If that is more than [`MOST_MISSED`] events, or the store does not answer, it receives
//!   `gap` instead, and then what comes next.
//! - `resume` after the event at place `p` is for what was committed while the client was
//!   away. It sends, before anything else and in order, the events after `p` and before
//!   `began`, the first event that was sent on this connection; or all after `p`, if none was
//!   yet. What was sent here already is thus not sent again. What arrives meanwhile follows,
//!   but for what `resume` has just sent (`seen`). `began` is then the event after `p`, so that
//!   asking again sends nothing twice.
//! - What is sent before a client says `resume` is newer than what that sends. A client that connects
//!   with `after` gets everything in order of place: it is resumed before anything else is sent.
//! - After [`MOST_MISSED`] events `resume` stops with `gap`, and leaves `began` where it is:
//!   the client may resume again after the last event that it got.
//! - An event that is not known, because retention deleted it or another site has it, is
//!   answered with `gap` alone.

mod allowance;
mod channel;
mod hub;
mod log;
mod message;
mod session;
pub(crate) mod upgrade;

use std::time::Duration;

pub(crate) use self::hub::Hub;
#[cfg(any(fuzzing, test))]
pub(crate) use self::message::Asked;
pub(crate) use self::upgrade::router;

/// The most events that a client is sent of what it missed.
const MOST_MISSED: usize = 1_000;
/// The most bytes of a client's message.
const LARGEST_MESSAGE: usize = 4 * 1024;

/// How long things take. Tests are in more of a hurry than the world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Between two heartbeats.
    pub(crate) beat: Duration,
    /// Between two protocol pings.
    pub(crate) ping: Duration,
    /// Until the pong must be there.
    pub(crate) pong: Duration,
    /// Until a client must have taken what is sent.
    pub(crate) send: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(5),
            ping: Duration::from_secs(30),
            pong: Duration::from_secs(10),
            send: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
