//! The one place that turns errors into answers, and logs what only the operator may know.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::collect::error_text;
use crate::measure::service::QueryError;
use crate::outcome::{Code, Refusal};
use crate::store::StoreError;

/// After how many seconds events may be sent again that found the store full: room is made by cleanup or by
/// the operator.
const FULL_RETRY_AFTER: u64 = 60;

/// What a handler fails with.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The client's mistake.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too many requests from one address.
    #[error("too many requests from one address")]
    RateLimited {
        /// Seconds until it is worth asking again.
        retry_after: u64,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Queries take too long, or too many wait.
    #[error("queries take too long")]
    Late,
    /// The store did not take the events; the cause is logged already.
    #[error("events were not stored")]
    NotStored,
    /// One of these, for each of those who asked the same question at the same time.
    #[error(transparent)]
    Shared(Arc<ApiError>),
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Store(error) => Self::Store(error),
            QueryError::Late => Self::Late,
            QueryError::TooLarge(_) => Self::Refused(Refusal::new(Code::InvalidQuery, error.to_string())),
            QueryError::Damaged => Self::Store(StoreError::Other { engine: "query", source: error.into() }),
        }
    }
}

impl From<Code> for StatusCode {
    fn from(code: Code) -> Self {
        match code {
            Code::InvalidPeriod
            | Code::InvalidDate
            | Code::InvalidLimit
            | Code::InvalidOffset
            | Code::InvalidCursor
            | Code::InvalidVisitor
            | Code::InvalidHours
            | Code::InvalidQuery
            | Code::InvalidSite
            | Code::InvalidEvent
            | Code::InvalidJson
            | Code::InvalidShare
            | Code::NameTaken
            | Code::MissingVisitor => Self::BAD_REQUEST,
            Code::Conflict => Self::CONFLICT,
            Code::PayloadTooLarge => Self::PAYLOAD_TOO_LARGE,
            Code::RateLimited => Self::TOO_MANY_REQUESTS,
            Code::Unauthorized => Self::UNAUTHORIZED,
            Code::Forbidden => Self::FORBIDDEN,
            Code::NotFound => Self::NOT_FOUND,
            Code::MethodNotAllowed => Self::METHOD_NOT_ALLOWED,
            Code::Unavailable | Code::StoreFull => Self::SERVICE_UNAVAILABLE,
            Code::Internal => Self::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What the client receives. It travels as an extension of the response until the outermost
/// layer, which knows the request id, writes the body.
#[derive(Debug, Clone)]
pub struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    /// The failure that a bare status stands for: what the framework answers by itself.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => {
                (Code::NotFound, "there is nothing at this path; /openapi.json lists what there is")
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                (Code::MethodNotAllowed, "this path does not take this method; the header Allow lists those it takes")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                (Code::PayloadTooLarge, "the body may have at most 64 KiB for one event and 1 MiB for a batch")
            }
            StatusCode::UNAUTHORIZED => (Code::Unauthorized, "this call needs a token"),
            StatusCode::FORBIDDEN => (Code::Forbidden, "the token does not allow this call"),
            StatusCode::TOO_MANY_REQUESTS => (Code::RateLimited, "too many requests from one address; try again later"),
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => {
                (Code::Unavailable, "the service cannot answer now; try again later")
            }
            status if status.is_client_error() => (Code::InvalidEvent, "the request cannot be understood"),
            _ => (Code::Internal, "something went wrong on our side"),
        };
        Self { code, message: message.to_owned() }
    }

    /// The answer's body.
    pub(super) fn body(&self, request_id: &str) -> String {
        json!({
            "success": false,
            "error": self.message,
            "code": self.code.as_str(),
            "request_id": request_id,
        })
        .to_string()
    }
}

impl ApiError {
    /// What the client receives, and after how many seconds it may ask again. The cause is
    /// logged here, once.
    fn failure(&self) -> (Failure, Option<u64>) {
        match self {
            Self::Refused(Refusal { code, message, .. }) => {
                let retry_after = (*code == Code::StoreFull).then_some(FULL_RETRY_AFTER);
                (Failure { code: *code, message: message.clone() }, retry_after)
            }
            Self::RateLimited { retry_after } => {
                (Failure::of_status(StatusCode::TOO_MANY_REQUESTS), Some(*retry_after))
            }
            Self::Late => {
                let message = "the query takes too long now; ask for less, or again later";
                (Failure { code: Code::Unavailable, message: message.to_owned() }, Some(1))
            }
            Self::NotStored => {
                let message = "the store is unavailable; send the same events with the same event_id again later";
                (Failure { code: Code::Unavailable, message: message.to_owned() }, Some(1))
            }
            Self::Store(error @ StoreError::Unavailable { .. }) => {
                tracing::error!(error = error_text(error), "the store is unavailable");
                (Failure::of_status(StatusCode::SERVICE_UNAVAILABLE), Some(1))
            }
            Self::Store(error @ StoreError::Overloaded { .. }) => {
                tracing::warn!(error = error_text(error), "a request was refused");
                (Failure::of_status(StatusCode::SERVICE_UNAVAILABLE), Some(1))
            }
            Self::Store(error) => {
                tracing::error!(error = error_text(error), "the store failed");
                (Failure::of_status(StatusCode::INTERNAL_SERVER_ERROR), None)
            }
            Self::Shared(error) => error.failure(),
        }
    }
}

impl ApiError {
    /// The failure as one item of an answer that has several: like the body of a failed request, with
    /// `retry_after` (seconds) in the place of the header.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (Failure { code, message }, retry_after) = self.failure();
        let mut item = json!({"success": false, "error": message, "code": code.as_str()});
        if let Some(seconds) = retry_after {
            item["retry_after"] = seconds.into();
        }
        item
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        ApiError::from(self).into_response()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (failure, retry_after) = self.failure();
        let mut headers = HeaderMap::new();
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let mut response = (StatusCode::from(failure.code), headers).into_response();
        response.extensions_mut().insert(failure);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overload_is_told_as_such() {
        let answer = ApiError::from(StoreError::Overloaded { engine: "any" }).into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
        assert_eq!(answer.extensions().get::<Failure>().map(|failure| failure.code), Some(Code::Unavailable));
    }
}
