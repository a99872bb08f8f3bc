//! What all handlers share of HTTP: the envelope of answers, errors, parameters, the client.

pub mod answers;
mod client;
mod error;
mod forwarded;
mod guard;
mod ingest;
mod layers;
mod network;
mod origin;
mod params;
mod room;

pub use answers::Answer;
pub use client::{PeerAddress, client_address, may_be_proxy};
pub use error::{ApiError, Failure};
pub use forwarded::address;
pub use guard::{Guard, Need};
pub use ingest::Ingest;
pub use layers::{
    Budget, CROSS_ORIGIN_RESOURCE_POLICY, Charge, ErrorPage, RequestId, compression, finish, method_label,
};
pub use network::Network;
pub use origin::{is_allowed_origin, may_follow};
pub use params::Params;
pub use room::{Room, Share};

/// Where every endpoint lives.
pub const BASE_PATH: &str = "/api/v1/analytics";

/// The most bytes of a body with one event: 64 KiB.
pub const MOST_BYTES_EVENT: usize = 64 * 1024;
/// The most bytes of a body with a batch: 1 MiB.
pub const MOST_BYTES_BATCH: usize = 1024 * 1024;
/// The most events of a batch.
pub const MOST_EVENTS: usize = 500;
