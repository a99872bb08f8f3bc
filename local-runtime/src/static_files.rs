//! The files of a site of the user's own, found as static hosts find them.
//!
//! - `/projects` is the file `projects`, or `projects.html`, or the folder `projects` with its
//!   `index.html`.
//! - Names that begin with a dot are not served, but for those below `/.well-known`. Nor are
//!   links that lead out of the folder, or to such a name.
//! - A missing page is answered with the site's `404.html`; without one, browsers get a page that
//!   says so, and programs the envelope.
//! - Browsers ask for pages each time (`Cache-Control: no-cache`), so that a new version is seen
//!   at once and every view reaches the server.

mod find;
mod root;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{Html, IntoResponse, Response};
use common::http::ErrorPage;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use tower::{Service, service_fn};
use tower_http::services::ServeDir;

use self::find::{Found, find};
pub use self::root::StaticDirError;
pub(crate) use self::root::root;
use crate::page_views;

/// The page of the site that answers for those that are missing.
const NOT_FOUND: &str = "/404.html";

/// Answers with the files below `root`, a resolved folder, and 404 for everything else.
pub(crate) fn service(
    root: PathBuf,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync {
    let site = Arc::new(Site { files: ServeDir::new(&root), root: root.into() });
    service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok(site.answer(request).await) }
    })
}

#[derive(Debug)]
struct Site {
    root: Arc<Path>,
    files: ServeDir,
}

impl Site {
    async fn answer(&self, request: Request) -> Response {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return StatusCode::NOT_FOUND.into_response();
        }
        match self.find(request.uri().path()).await {
            Found::File(path) => self.file(request, &path).await,
            Found::Elsewhere(location) => {
                let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
                let location = [(header::LOCATION, format!("{location}{query}"))];
                (StatusCode::TEMPORARY_REDIRECT, location).into_response()
            }
            Found::Nothing => self.missing(request).await,
        }
    }

    /// Looks on a thread that may wait for the disk.
    async fn find(&self, path: &str) -> Found {
        let (root, path) = (Arc::clone(&self.root), path.to_owned());
        tokio::task::spawn_blocking(move || find(&root, &path)).await.unwrap_or(Found::Nothing)
    }

    /// The file that [`find()`] has found at this path.
    async fn file(&self, mut request: Request, path: &str) -> Response {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let Ok(uri) = format!("{path}{query}").parse::<Uri>() else {
            return StatusCode::NOT_FOUND.into_response();
        };
        *request.uri_mut() = uri;
        let mut response = match self.files.clone().try_call(request).await {
            Ok(file) => file.map(Body::new),
            Err(error) => {
                tracing::error!(%error, "a file could not be read");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        };
        if path.ends_with(".html") || path.ends_with(".htm") {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        response
    }

    async fn missing(&self, request: Request) -> Response {
        if page_views::is_of_the_product(request.uri().path()) {
            return StatusCode::NOT_FOUND.into_response();
        }
        let for_people = takes_html(request.headers());
        if let Found::File(path) = self.find(NOT_FOUND).await {
            // Whole, whatever the browser has or wants of the page that is missing.
            let whole = Request::builder().method(request.method()).uri(NOT_FOUND).body(Body::empty());
            let Ok(whole) = whole else { return StatusCode::NOT_FOUND.into_response() };
            let mut response = self.file(whole, &path).await;
            response.headers_mut().remove(header::LAST_MODIFIED);
            if response.status().is_success() {
                return as_missing(response);
            }
        }
        if for_people {
            return as_missing(Html(include_str!("static_files/not_found.html")).into_response());
        }
        StatusCode::NOT_FOUND.into_response()
    }
}

fn as_missing(mut page: Response) -> Response {
    *page.status_mut() = StatusCode::NOT_FOUND;
    page.extensions_mut().insert(ErrorPage);
    page
}

/// Browsers name HTML when they go to a page; programs take anything.
fn takes_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim_start().starts_with("text/html"))
}
