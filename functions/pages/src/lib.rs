//! What browsers are given: the dashboard at `/`, its files below `/assets/maicivy/`, and the
//! tracker that sites embed, `/mcv.js`, which has other names too, with what it loads for owners.
//!
//! The dashboard is built from `local-runtime/dashboard` by npm and embedded by `build.rs`, each
//! file in three forms: plain, gzip and Brotli. A program that was built without it has a page
//! that says how to get it.
//!
//! The pages run nothing but their own script, have no inline script or style, and may be shown
//! in frames of `ANALYTICS_FRAME_ANCESTORS` only; the Content-Security-Policy says so to the browser.

mod encoding;
mod file;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use common::config::Config;
use common::http::{CROSS_ORIGIN_RESOURCE_POLICY, compression};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use self::file::{Embedded, File, Kept};

include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// The name of the page among the embedded files; all others have names that change with them.
const PAGE_PATH: &str = "/index.html";

static PAGE: LazyLock<File> = LazyLock::new(|| {
    let built = EMBEDDED.iter().find(|embedded| embedded.path == PAGE_PATH);
    let missing = Embedded::plain(PAGE_PATH, include_str!("missing.html"));
    File::new(built.copied().unwrap_or(missing), Kept::Never)
});
static ASSETS: LazyLock<Vec<File>> = LazyLock::new(|| {
    let assets = EMBEDDED.iter().filter(|embedded| embedded.path != PAGE_PATH);
    assets.map(|embedded| File::new(*embedded, Kept::Always)).collect()
});
/// Committed as it is built from `tracker/`, which has a test that it is, so that it is always there.
const TRACKER: Embedded = Embedded {
    path: "/script.js",
    plain: include_bytes!("../../../local-runtime/tracker/dist/script.js"),
    brotli: Some(include_bytes!("../../../local-runtime/tracker/dist/script.js.br")),
    gzip: Some(include_bytes!("../../../local-runtime/tracker/dist/script.js.gz")),
};

/// What the tracker loads in a browser of the site's owner: where the elements of a page are, for the
/// dashboard. It is what the collect path answers to GET, so that a proxy which passes that on needs no further path.
const OUTLINE: Embedded = Embedded {
    path: "/outline.js",
    plain: include_bytes!("../../../local-runtime/tracker/dist/outline.js"),
    brotli: Some(include_bytes!("../../../local-runtime/tracker/dist/outline.js.br")),
    gzip: Some(include_bytes!("../../../local-runtime/tracker/dist/outline.js.gz")),
};
static OUTLINE_FILE: LazyLock<File> = LazyLock::new(|| File::new(OUTLINE, Kept::AnHour));

/// The page at `/` and at `/dashboard`, its files and the tracker, as a function serves them.
pub fn router(config: &Config) -> Router {
    let pages = page_router_at("/", config).merge(page_router_at("/dashboard", config));
    assets(config).merge(pages).layer(compression())
}

/// The page at a path of its own, without its files.
pub fn page_router_at(path: &str, config: &Config) -> Router {
    let policy = file::policy(&config.frame_ancestors);
    let page = async move |headers: HeaderMap| {
        let answer = ([(header::CONTENT_SECURITY_POLICY, policy.clone())], PAGE.answer(&headers)).into_response();
        with_words(answer, &headers)
    };
    Router::new().route(path, get(page))
}

/// Names the script with the words of the browser's first language, if there is one, so that it comes with
/// the page's first script and not after that has run.
fn with_words(mut answer: Response, asked: &HeaderMap) -> Response {
    let languages = asked.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let language = languages.split([',', ';', '-']).next().unwrap_or_default().trim().to_ascii_lowercase();
    // Names of languages have two letters; those of other scripts have more.
    let script = ASSETS.iter().map(|asset| asset.path).find(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        language.len() == 2 && name.ends_with(".js") && name.split_once('-').is_some_and(|(name, _)| name == language)
    });
    let link = script.and_then(|path| HeaderValue::try_from(format!("<.{path}>; rel=modulepreload")).ok());
    if let Some(link) = link {
        answer.headers_mut().insert(header::LINK, link);
    }
    answer.headers_mut().append(header::VARY, HeaderValue::from_static("accept-language"));
    answer
}

/// The files of the page, wherever the page is, and the tracker.
pub fn assets(config: &Config) -> Router {
    let tracker = Arc::new(tracker(config));
    let script = get(async move |headers: HeaderMap| embeddable(tracker.answer(&headers)));
    let outline = get(async |headers: HeaderMap| embeddable(OUTLINE_FILE.answer(&headers)));
    // The name of the contract, which block lists know; that of the snippets; the operator's own.
    let own = format!("/{}", config.script_name);
    let names = BTreeSet::from([TRACKER.path, "/mcv.js", &own]);
    let router = names.iter().fold(Router::new(), |router, name| router.route(name, script.clone()));
    // One route for all files: their names change with every build, and routes are labels.
    router.route(&config.collect_path, outline).route("/assets/maicivy/{file}", get(asset))
}

/// Pages that only embed what allows it (COEP) may embed this.
fn embeddable(answer: Response) -> impl IntoResponse {
    ([(CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin")], answer)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let asset = ASSETS.iter().find(|asset| asset.path.strip_prefix("/assets/maicivy/") == Some(&*name));
    asset.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |asset| asset.answer(&headers))
}

/// What the script ends with as `tracker/build.mjs` makes it: the configuration's defaults.
const DEFAULTS: &str = r#"("mcv/notes",0)"#;

/// The script with this configuration in the place of the defaults.
fn tracker(config: &Config) -> File {
    let path = config.collect_path.trim_start_matches('/');
    let configured = format!(r#"("{path}",{})"#, u8::from(!config.honor_opt_out));
    match TRACKER.plain.strip_suffix(DEFAULTS.as_bytes()) {
        Some(script) if configured != DEFAULTS => {
            File::made(TRACKER.path, [script, configured.as_bytes()].concat().into(), Kept::AnHour)
        }
        _ => File::new(TRACKER, Kept::AnHour),
    }
}

#[cfg(test)]
mod tests;
