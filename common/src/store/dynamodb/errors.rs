//! What the service says no with: what to try again, what the caller has to judge, and what
//! it is called outside.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::store::StoreError;

/// The engine's name, for logs and metrics.
pub(super) const ENGINE: &str = "dynamodb";

/// Codes of refusals that pass: asked again a little later, the service may well agree.
const PASSING: [&str; 9] = [
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

/// A failure that asking again does not help.
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

/// Whether a refusal with this code passes.
pub(super) fn passes(code: &str) -> bool {
    PASSING.contains(&code)
}

/// What came of asking once.
#[derive(Debug)]
pub(super) enum Failure<E> {
    /// It may be different in a moment. Whether the request was executed is not known.
    Passing(String),
    /// The service refused, for a reason that the caller may know what to do about.
    Refused(Box<E>),
    /// Nothing can be done.
    Final(StoreError),
}

impl<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static> Failure<E> {
    pub(super) fn of(error: SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::ServiceError(refused) => {
                let status = refused.raw().status().as_u16();
                let error = refused.into_err();
                match error.code() {
                    Some(code) if passes(code) => Self::Passing(code.to_owned()),
                    Some(code) if ABSENT.contains(&code) => Self::Final(unavailable(code)),
                    _ if status >= 500 => Self::Passing(format!("status {status}")),
                    _ => Self::Refused(Box::new(error)),
                }
            }
            SdkError::TimeoutError(_) => Self::Passing("no answer in time".to_owned()),
            SdkError::DispatchFailure(error) if error.is_user() => Self::Final(unavailable("no credentials")),
            SdkError::DispatchFailure(error) => Self::Passing(describe(error.as_connector_error())),
            SdkError::ResponseError(_) => Self::Passing("an answer that could not be read".to_owned()),
            other => Self::Final(failed(other)),
        }
    }

    /// For those who know nothing to do about a refusal.
    pub(super) fn store_error(self) -> StoreError {
        match self {
            Self::Passing(reason) => unavailable(reason),
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
