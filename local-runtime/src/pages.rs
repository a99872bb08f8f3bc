//! A small dashboard in four embedded files: what happens now, figures, themes, letters and the
//! timeline, moving with the live feed; and `/script.js`, the tracker that sites embed.
//!
//! The page runs nothing but its own script, has no inline script or style, and may be shown in
//! no frame; the Content-Security-Policy says so to the browser.

use std::sync::LazyLock;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

/// Nothing from elsewhere, nothing inline, no frames, no forms.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An embedded file.
struct File {
    content_type: &'static str,
    cache_control: &'static str,
    text: &'static str,
    etag: HeaderValue,
}

impl File {
    fn new(content_type: &'static str, text: &'static str) -> Self {
        let digest: [u8; 32] = Sha256::digest(text).into();
        let mut begin = [0; 8];
        begin.copy_from_slice(&digest[..8]);
        let etag = format!("\"{:016x}\"", u64::from_be_bytes(begin));
        // Quotes and hexadecimal digits are always a header's value.
        let etag = HeaderValue::from_str(&etag).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
        // It may be kept, but is asked for again each time: a new version is seen at once.
        Self { content_type, cache_control: "no-cache", text, etag }
    }

    /// The same, but used for an hour before anybody asks again: every page of a site loads it.
    fn kept(self) -> Self {
        Self { cache_control: "public, max-age=3600", ..self }
    }

    /// The file, or 304 to those who have it.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let headers = [
            (header::ETAG, self.etag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static(self.cache_control)),
            (header::CONTENT_TYPE, HeaderValue::from_static(self.content_type)),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        ];
        if self.is_known_by(asked) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.text).into_response()
    }

    /// Whether `If-None-Match` names this version; weakly, as RFC 9110, section 13.1.2, has it,
    /// because compression makes tags weak.
    fn is_known_by(&self, asked: &HeaderMap) -> bool {
        let tags = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        tags.flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || tag.as_bytes() == self.etag.as_bytes())
    }
}

static PAGE: LazyLock<File> = LazyLock::new(|| File::new("text/html; charset=utf-8", include_str!("pages/page.html")));
static STYLE: LazyLock<File> = LazyLock::new(|| File::new("text/css; charset=utf-8", include_str!("pages/page.css")));
static SCRIPT: LazyLock<File> =
    LazyLock::new(|| File::new("text/javascript; charset=utf-8", include_str!("pages/page.js")));
static TRACKER: LazyLock<File> =
    LazyLock::new(|| File::new("text/javascript; charset=utf-8", include_str!("pages/script.js")).kept());
static ICON: LazyLock<File> = LazyLock::new(|| File::new("image/svg+xml", include_str!("pages/icon.svg")));

/// The page at `/`, and its files.
pub fn router() -> Router {
    assets().merge(page_router_at("/"))
}

/// The page at a path of its own, without its files.
pub fn page_router_at(path: &str) -> Router {
    Router::new().route(path, get(async |headers: HeaderMap| PAGE.answer(&headers)))
}

/// The files of the page, under `/assets/maicivy/` wherever the page is, and the tracker.
pub fn assets() -> Router {
    Router::new()
        .route("/script.js", get(async |headers: HeaderMap| TRACKER.answer(&headers)))
        .route("/assets/maicivy/page.css", get(async |headers: HeaderMap| STYLE.answer(&headers)))
        .route("/assets/maicivy/page.js", get(async |headers: HeaderMap| SCRIPT.answer(&headers)))
        .route("/assets/maicivy/icon.svg", get(async |headers: HeaderMap| ICON.answer(&headers)))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use tower::ServiceExt;

    use super::*;

    async fn ask(path: &str, tag: Option<&str>) -> Response {
        let mut request = Request::get(path);
        if let Some(tag) = tag {
            request = request.header("if-none-match", tag);
        }
        router().merge(page_router_at("/dashboard")).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn every_file_that_the_page_names_is_there() {
        let named: Vec<_> = PAGE.text.split('"').filter(|part| part.starts_with("/assets/")).collect();
        assert!(named.len() >= 3);
        for path in named.into_iter().chain(["/", "/dashboard", "/script.js"]) {
            let answer = ask(path, None).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            for name in ["content-security-policy", "etag", "content-type", "cache-control"] {
                assert!(answer.headers().contains_key(name), "{path} {name}");
            }
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        }
    }

    #[tokio::test]
    async fn who_has_it_is_not_sent_it_again() {
        let tag = ask("/", None).await.headers()["etag"].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
            assert_eq!(ask("/", Some(&known)).await.status(), StatusCode::NOT_MODIFIED, "{known}");
        }
        assert_eq!(ask("/", Some("\"x\"")).await.status(), StatusCode::OK);
    }

    /// What the policy forbids would be dead code: inline scripts, styles and handlers.
    #[test]
    fn nothing_is_inline() {
        let page = PAGE.text;
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" on"), "inline");
        assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=").count());
        assert!(!SCRIPT.text.contains("innerHTML") && !POLICY.contains("unsafe"));
    }
}
