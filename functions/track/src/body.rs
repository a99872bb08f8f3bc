//! Bodies: bounded, and read whatever their Content-Type says, as beacons send text/plain.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Request;
use common::config::Config;
use common::http::{MOST_BYTES_EVENT, Network, Room, Share};
use common::json::mend;
use common::outcome::{Code, Refusal};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;

/// How long a body may take to arrive: less than the request has, so that the answer to a
/// client that is too slow blames the client.
const PATIENCE: Duration = Duration::from_secs(8);

/// Room for bodies that are not complete yet: no number of slow clients makes the process keep more,
/// and those of one network leave room for others. Bodies of one event need none; the number of
/// connections bounds them.
static ROOM: Room = Room::new(32 * 1024 * 1024, 4 * 1024 * 1024);

/// Reads a body of at most `most` bytes, and mends it (see [`mend`]).
///
/// # Errors
/// `PAYLOAD_TOO_LARGE`; `INVALID_JSON` when it ends early or comes too slowly; `UNAVAILABLE`
/// when too much is being read already.
pub(crate) async fn read(request: Request<Body>, most: usize, config: &Config) -> Result<Bytes, Refusal> {
    let share = ROOM.share(Network::of_client(request.extensions(), request.headers(), config));
    let body = tokio::time::timeout(PATIENCE, collect(request.into_body(), most, share)).await.unwrap_or_else(|_| {
        let seconds = PATIENCE.as_secs();
        Err(Refusal::new(Code::InvalidJson, format!("the body must be complete within {seconds} seconds")))
    });
    body.map(|body| match mend(&body) {
        Cow::Borrowed(kept) => body.slice_ref(kept),
        Cow::Owned(mended) => mended.into(),
    })
}

async fn collect(body: Body, most: usize, mut share: Share<'_>) -> Result<Bytes, Refusal> {
    let mut read = 0;
    let mut body = Limited::new(body, most);
    // Most bodies are one frame, and are not copied. Many small frames are: each by itself
    // would hold on to much more than its bytes.
    let (mut first, mut whole) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return too_large(most);
            }
            Refusal::new(Code::InvalidJson, "the body ended before it was complete")
        })?;
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        if read > MOST_BYTES_EVENT && !share.grow(data.len()) {
            return Err(Refusal::new(Code::Unavailable, "too many large bodies at once; send it again later"));
        }
        if first.is_empty() {
            first = data;
        } else {
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(if whole.is_empty() { first } else { whole.into() })
}

/// The same body, if it has at most `most` bytes.
///
/// # Errors
/// `PAYLOAD_TOO_LARGE`.
pub(crate) fn limited(body: Bytes, most: usize) -> Result<Bytes, Refusal> {
    if body.len() > most { Err(too_large(most)) } else { Ok(body) }
}

fn too_large(most: usize) -> Refusal {
    Refusal::new(Code::PayloadTooLarge, format!("the body may have at most {} KiB", most / 1024))
}

/// Whether a body is a JSON array, if it is JSON at all; whitespace and a byte order mark may
/// stand before it.
pub(crate) fn is_array(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    body.trim_ascii_start().starts_with(b"[")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_or_an_array() {
        for array in [&b"[]"[..], b" \r\n[1]", b"\xef\xbb\xbf[1]"] {
            assert!(is_array(array));
        }
        for one in [&b"{}"[..], b"", b" ", b"x[", b"\xef\xbb\xbf{}"] {
            assert!(!is_array(one));
        }
    }

    #[tokio::test]
    async fn large_bodies_need_room_and_small_ones_do_not() {
        let full = Room::new(0, 0);
        let share = || full.share(Network::new(None));
        let body = |bytes| Body::from(vec![b'x'; bytes]);
        assert_eq!(collect(body(MOST_BYTES_EVENT), MOST_BYTES_EVENT, share()).await.unwrap().len(), MOST_BYTES_EVENT);
        let refusal = collect(body(MOST_BYTES_EVENT + 1), MOST_BYTES_EVENT + 1, share()).await.unwrap_err();
        assert_eq!(refusal.code, Code::Unavailable);
        let refusal = collect(body(11), 10, share()).await.unwrap_err();
        assert_eq!(refusal.code, Code::PayloadTooLarge);
    }
}
