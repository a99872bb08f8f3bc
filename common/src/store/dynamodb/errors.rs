//! Errors of the service: which are retried, which the caller handles, and what they are outside
//! this engine.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::store::StoreError;

/// The engine's name, for logs and metrics.
pub(super) const ENGINE: &str = "dynamodb";

/// Codes of errors that are retried.
const TRANSIENT: [&str; 9] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "ThrottlingError",
    "RequestLimitExceeded",
    "TransactionConflictException",
    "TransactionInProgressException",
    "ReplicatedWriteConflictException",
    "InternalServerError",
    "ServiceUnavailable",
];
/// The code that says that the table does not exist.
pub(super) const NO_TABLE: &str = "ResourceNotFoundException";
/// Codes that say that the engine is not set up, as far as this process can see.
const ABSENT: [&str; 5] = [
    NO_TABLE,
    "AccessDeniedException",
    "UnrecognizedClientException",
    "ExpiredTokenException",
    "InvalidSignatureException",
];

/// An error that a retry does not help.
pub(super) fn failed(source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Other { engine: ENGINE, source: Box::new(source) }
}

/// The engine cannot answer now.
pub(super) fn unavailable(reason: impl Into<String>) -> StoreError {
    StoreError::Unavailable { engine: ENGINE, reason: reason.into() }
}

/// The store was closed.
pub(super) fn closed() -> StoreError {
    unavailable("it is closed")
}

/// Whether an error with this code is retried.
pub(super) fn is_transient(code: &str) -> bool {
    TRANSIENT.contains(&code)
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Failure<E> {
    /// A retry may help. Whether the request was executed is not known.
    Transient(String),
    /// The service refused, for a reason that the caller may handle.
    Refused(Box<E>),
    /// A retry does not help.
    Final(StoreError),
}

impl<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static> Failure<E> {
    pub(super) fn of(error: SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::ServiceError(refused) => {
                let status = refused.raw().status().as_u16();
                let error = refused.into_err();
                match error.code() {
                    Some(code) if is_transient(code) => Self::Transient(code.to_owned()),
                    Some(code) if ABSENT.contains(&code) => Self::Final(unavailable(code)),
                    _ if status >= 500 => Self::Transient(format!("status {status}")),
                    _ => Self::Refused(Box::new(error)),
                }
            }
            SdkError::TimeoutError(_) => Self::Transient("no answer in time".to_owned()),
            SdkError::DispatchFailure(error) if error.is_user() => Self::Final(unavailable("no credentials")),
            SdkError::DispatchFailure(error) => Self::Transient(describe(error.as_connector_error())),
            SdkError::ResponseError(_) => Self::Transient("an answer that could not be read".to_owned()),
            other => Self::Final(failed(other)),
        }
    }

    /// The error for callers that handle no refusal.
    pub(super) fn store_error(self) -> StoreError {
        match self {
            Self::Transient(reason) => unavailable(reason),
            Self::Refused(error) => failed(*error),
            Self::Final(error) => error,
        }
    }
}

fn describe(error: Option<&(impl std::error::Error + 'static)>) -> String {
    let mut text = "not reached".to_owned();
    let mut cause = error.map(|error| error as &dyn std::error::Error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
