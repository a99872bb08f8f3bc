//! What browsers are given: the dashboard at `/`, its files below `/assets/maicivy/`, and the
//! tracker that sites embed, `/script.js`.
//!
//! The dashboard is built from `dashboard/` by npm and embedded by `build.rs`, each file in
//! three forms: plain, gzip and Brotli. A program that was built without it has a page that
//! says how to get it.
//!
//! The pages run nothing but their own script, have no inline script or style, and may be shown
//! in no frame; the Content-Security-Policy says so to the browser.

mod encoding;
mod file;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use common::config::Config;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use self::file::{Embedded, File, Kept};

include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// The name of the page among the embedded files; all others have names that change with them.
const PAGE_PATH: &str = "/index.html";

static PAGE: LazyLock<File> = LazyLock::new(|| {
    let built = EMBEDDED.iter().find(|embedded| embedded.path == PAGE_PATH);
    let missing = Embedded::plain(PAGE_PATH, include_str!("pages/missing.html"));
    File::new(built.copied().unwrap_or(missing), Kept::Never)
});
static ASSETS: LazyLock<Vec<File>> = LazyLock::new(|| {
    let assets = EMBEDDED.iter().filter(|embedded| embedded.path != PAGE_PATH);
    assets.map(|embedded| File::new(*embedded, Kept::Always)).collect()
});
/// Committed as it is built from `tracker/`, which has a test that it is, so that it is always there.
const TRACKER: Embedded = Embedded {
    path: "/script.js",
    plain: include_bytes!("../tracker/dist/script.js"),
    brotli: Some(include_bytes!("../tracker/dist/script.js.br")),
    gzip: Some(include_bytes!("../tracker/dist/script.js.gz")),
};

/// The page at `/`, its files and the tracker.
pub fn router(config: &Config) -> Router {
    assets(config).merge(page_router_at("/"))
}

/// The page at a path of its own, without its files.
pub fn page_router_at(path: &str) -> Router {
    Router::new().route(path, get(async |headers: HeaderMap| PAGE.answer(&headers)))
}

/// The files of the page, wherever the page is, and the tracker.
pub fn assets(config: &Config) -> Router {
    let tracker = Arc::new(tracker(config));
    // One route for all files: their names change with every build, and routes are labels.
    Router::new()
        .route("/assets/maicivy/{file}", get(asset))
        .route(tracker.path, get(async move |headers: HeaderMap| tracker.answer(&headers)))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let asset = ASSETS.iter().find(|asset| asset.path.strip_prefix("/assets/maicivy/") == Some(&*name));
    asset.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |asset| asset.answer(&headers))
}

/// The script, preceded by the options of this server that differ from its own.
fn tracker(config: &Config) -> File {
    if config.honor_opt_out {
        return File::new(TRACKER, Kept::AnHour);
    }
    let options = json!({ "ignoreOptOut": true });
    let before = format!("window.maicivy=window.maicivy||{options};");
    File::made(TRACKER.path, [before.as_bytes(), TRACKER.plain].concat().into(), Kept::AnHour)
}

#[cfg(test)]
mod tests;
