//! Several queries in one request, so that a page with many figures costs one round trip.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use common::App;
use common::http::answers::json;
use common::http::{ApiError, Budget, Params};
use common::outcome::{Code, Refusal};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

/// The most queries of one request.
const MOST_QUERIES: usize = 20;
/// How long all of them may take together; those that are not answered by then fail, each for itself.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Answers queries one after the other, each with its own result or error. A batch draws as much from the
/// client's rate limit as its queries would one by one, and takes one turn at a time among the scans.
pub(crate) async fn answer(
    app: &App,
    params: &Params,
    queries: &[Value],
    budget: Option<Budget>,
) -> Result<Response, ApiError> {
    if queries.is_empty() || queries.len() > MOST_QUERIES {
        let message = format!("an array must have 1 to {MOST_QUERIES} queries");
        return Err(Refusal::new(Code::InvalidQuery, message).into());
    }
    // The first one is paid for by the request.
    if let (Some(Budget(charge)), Some(more @ 1..)) = (budget, u32::try_from(queries.len() - 1).ok()) {
        charge(more).await.map_err(|retry_after| ApiError::RateLimited { retry_after })?;
    }
    let deadline = Instant::now() + TIMEOUT;
    let mut body = br#"{"success":true,"data":["#.to_vec();
    for (number, query) in queries.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        let answered = timeout_at(deadline, super::answer_json(app, params, query)).await;
        match answered.unwrap_or(Err(ApiError::Late)) {
            Ok(answer) => body.extend_from_slice(&answer),
            Err(error) => body.extend_from_slice(error.to_json().to_string().as_bytes()),
        }
    }
    body.extend_from_slice(b"]}");
    Ok(json(StatusCode::OK, Bytes::from(body)))
}
