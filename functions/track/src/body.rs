//! Bodies: bounded, and read whatever their Content-Type says, as beacons send text/plain.

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Request;
use common::outcome::{Code, Refusal};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;

/// Reads a body of at most `most` bytes.
///
/// # Errors
/// `PAYLOAD_TOO_LARGE`, or `INVALID_JSON` when it ends early.
pub(crate) async fn read(request: Request<Body>, most: usize) -> Result<Bytes, Refusal> {
    match Limited::new(request.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let kib = most / 1024;
            Err(Refusal::new(Code::PayloadTooLarge, format!("the body may have at most {kib} KiB")))
        }
        Err(_) => Err(Refusal::new(Code::InvalidJson, "the body ended before it was complete")),
    }
}

/// Parses JSON and says where it is none.
///
/// # Errors
/// `INVALID_JSON`.
pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        let message = match error.classify() {
            serde_json::error::Category::Data => "the body must be a JSON array of events".to_owned(),
            _ => format!("the body is no valid JSON: line {}, column {}", error.line(), error.column()),
        };
        Refusal::new(Code::InvalidJson, message)
    })
}
