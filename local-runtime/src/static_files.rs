//! The files of a site of the user's own.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tower::{Service, service_fn};
use tower_http::services::ServeDir;

/// Answers with the files below `dir`, and 404 for everything else.
pub(crate) fn service(
    dir: PathBuf,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync {
    let files = ServeDir::new(dir).call_fallback_on_method_not_allowed(true).fallback(Router::new());
    service_fn(move |request: Request| {
        let mut files = files.clone();
        async move {
            Ok(match files.try_call(request).await {
                Ok(file) => file.into_response(),
                Err(error) => failed(&error).into_response(),
            })
        }
    })
}

/// A name that the file system cannot have is the client's invention; all else is ours.
fn failed(error: &io::Error) -> StatusCode {
    if error.kind() == io::ErrorKind::InvalidFilename {
        return StatusCode::NOT_FOUND;
    }
    tracing::error!(%error, "a file could not be read");
    StatusCode::INTERNAL_SERVER_ERROR
}
