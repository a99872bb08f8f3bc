//! Which requests and answers are a page view.

use http::{HeaderMap, Method, Request, Response, StatusCode, header};

/// What is no page of the site, with everything below it.
const NOT_PAGES: [&str; 5] = ["/api", "/ws", "/health", "/metrics", "/dashboard"];

/// How paths of assets end. What is missing here is recognised by its content type, unless the
/// answer is a 304, which has none.
const ASSETS: [&str; 38] = [
    "avif",
    "bmp",
    "css",
    "csv",
    "doc",
    "docx",
    "eot",
    "gif",
    "gz",
    "ico",
    "jpeg",
    "jpg",
    "js",
    "json",
    "map",
    "mjs",
    "mov",
    "mp3",
    "mp4",
    "ogg",
    "otf",
    "pdf",
    "png",
    "rss",
    "svg",
    "tar",
    "tgz",
    "ttf",
    "txt",
    "wasm",
    "wav",
    "webm",
    "webmanifest",
    "webp",
    "woff",
    "woff2",
    "xml",
    "zip",
];

/// How a browser goes to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Navigation {
    /// By itself: what comes is a document of its own.
    Document,
    /// By a script of the page before, which puts what comes in its place: htmx and Turbo.
    Script,
}

/// Whether and how a browser goes to a page of the site, as far as the request tells.
pub(super) fn request<B>(request: &Request<B>) -> Option<Navigation> {
    let is_of_page = request.method() == Method::GET && is_page(request.uri().path());
    if is_of_page { navigation(request.headers()) } else { None }
}

/// Whether the page was there.
pub(super) fn response<B>(response: &Response<B>) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_html = content_type.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("text/html") || essence.eq_ignore_ascii_case("application/xhtml+xml")
    });
    match response.status() {
        StatusCode::NOT_MODIFIED => content_type.is_none() || is_html,
        StatusCode::PARTIAL_CONTENT => false,
        status => status.is_success() && is_html,
    }
}

fn is_page(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_asset =
        last.rsplit_once('.').is_some_and(|(_, suffix)| ASSETS.iter().any(|asset| asset.eq_ignore_ascii_case(suffix)));
    !is_asset && !is_of_the_product(path)
}

/// Whether a path is one of the product's own, or below one.
pub(crate) fn is_of_the_product(path: &str) -> bool {
    NOT_PAGES.iter().any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// In which headers browsers and scripts say that they fetch ahead of a visit, or for a preview.
/// `Sec-Purpose` is the standard's; scripts may not send it, and prefix it with `X-`.
const PURPOSE: [&str; 5] = ["sec-purpose", "purpose", "x-sec-purpose", "x-purpose", "x-moz"];

/// What `Accept` is in visits of Turbo and Turbolinks; later versions put more kinds before it.
const TURBO: &str = "text/html, application/xhtml+xml";

/// What is fetched ahead, in part, or by a script for a part of a page is no visit. Browsers say
/// what they fetch for in `Sec-Fetch-Dest` (Fetch Metadata); those that do not are believed to go
/// there.
fn navigation(headers: &HeaderMap) -> Option<Navigation> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is = |name: &str, value: &str| text(name).is_some_and(|text| text.eq_ignore_ascii_case(value));
    let is_ahead = PURPOSE.iter().any(|name| {
        let purpose = text(name).unwrap_or_default().to_ascii_lowercase();
        ["prefetch", "prerender", "preview", "instant"].iter().any(|ahead| purpose.contains(ahead))
    });
    if is_ahead || is("hx-preloaded", "true") || headers.contains_key(header::RANGE) {
        return None;
    }
    // Of htmx: links that are boosted, and the Back button where the page is not kept.
    if headers.contains_key("hx-request") {
        let is_visit = is("hx-boosted", "true") || is("hx-history-restore-request", "true");
        return is_visit.then_some(Navigation::Script);
    }
    // Of Turbo: all but frames, which are parts of a page.
    if headers.contains_key("turbo-frame") {
        return None;
    }
    if headers.contains_key("x-turbo-request-id") || is("accept", TURBO) {
        return Some(Navigation::Script);
    }
    let is_document = text("sec-fetch-dest").is_none_or(|destination| destination == "document");
    (is_document && !headers.contains_key("x-requested-with")).then_some(Navigation::Document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_what_is_none() {
        for page in ["/", "/cv", "/cv/", "/blog/v1.2", "/index.html", "/apis", "/healthy", "/websites", "/a.PHP"] {
            assert!(is_page(page), "{page}");
        }
        for none in [
            "/api",
            "/api/v1/analytics/stats",
            "/ws/analytics",
            "/health",
            "/health/ready",
            "/metrics",
            "/dashboard",
            "/dashboard/x",
            "/script.js",
            "/a/B.PNG",
            "/favicon.ico",
            "/cv.pdf",
        ] {
            assert!(!is_page(none), "{none}");
        }
    }

    fn asked(method: Method, headers: &[(&'static str, &str)]) -> Option<Navigation> {
        let mut asked = Request::builder().method(method).uri("/cv");
        for (name, value) in headers {
            asked = asked.header(*name, *value);
        }
        request(&asked.body(()).unwrap())
    }

    #[test]
    fn documents_are_visits_and_parts_are_not() {
        assert_eq!(asked(Method::GET, &[]), Some(Navigation::Document));
        assert_eq!(asked(Method::GET, &[("sec-fetch-dest", "document")]), Some(Navigation::Document));
        for destination in ["empty", "iframe", "image", "embed", "object"] {
            assert_eq!(asked(Method::GET, &[("sec-fetch-dest", destination)]), None, "{destination}");
        }
        assert_eq!(asked(Method::GET, &[("x-requested-with", "XMLHttpRequest")]), None);
        assert_eq!(asked(Method::GET, &[("range", "bytes=0-99")]), None);
        assert_eq!(asked(Method::HEAD, &[]), None);
        assert_eq!(asked(Method::POST, &[]), None);
    }

    #[test]
    fn what_is_fetched_ahead_is_no_visit() {
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("sec-purpose", "prefetch;anonymous-client-ip"),
            ("purpose", "prefetch"),
            ("purpose", "preview"),
            ("x-purpose", "preview"),
            ("x-purpose", "instant"),
            ("x-purpose", "Preview"),
            ("x-moz", "prefetch"),
            ("x-sec-purpose", "prefetch"),
            ("hx-preloaded", "true"),
        ] {
            assert_eq!(asked(Method::GET, &[(name, value)]), None, "{name}: {value}");
            let headers = [(name, value), ("sec-fetch-dest", "document"), ("x-turbo-request-id", "1")];
            assert_eq!(asked(Method::GET, &headers), None, "{name}: {value}");
        }
    }

    #[test]
    fn visits_of_htmx_are_visits_and_its_parts_are_not() {
        let htmx = |more: &[(&'static str, &str)]| {
            let headers = [("hx-request", "true"), ("sec-fetch-dest", "empty"), ("accept", "*/*")];
            asked(Method::GET, &[&headers, more].concat())
        };
        assert_eq!(htmx(&[]), None);
        assert_eq!(htmx(&[("hx-target", "list"), ("hx-current-url", "http://a.example/")]), None);
        assert_eq!(htmx(&[("hx-boosted", "true")]), Some(Navigation::Script));
        assert_eq!(htmx(&[("hx-history-restore-request", "true")]), Some(Navigation::Script));
        assert_eq!(htmx(&[("hx-boosted", "true"), ("hx-preloaded", "true")]), None);
    }

    #[test]
    fn visits_of_turbo_are_visits_and_its_frames_are_not() {
        let turbo = |more: &[(&'static str, &str)]| {
            asked(Method::GET, &[&[("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")], more].concat())
        };
        let (id, html) = (("x-turbo-request-id", "7d3c"), ("accept", "text/html, application/xhtml+xml"));
        let stream = ("accept", "text/vnd.turbo-stream.html, text/html, application/xhtml+xml");
        assert_eq!(turbo(&[id, html]), Some(Navigation::Script));
        assert_eq!(turbo(&[id, stream]), Some(Navigation::Script), "after a form was sent");
        assert_eq!(turbo(&[html]), Some(Navigation::Script), "before version 8");
        assert_eq!(turbo(&[id, html, ("turbo-frame", "list")]), None);
        assert_eq!(turbo(&[html, ("turbo-frame", "list")]), None);
        assert_eq!(turbo(&[id, html, ("x-sec-purpose", "prefetch")]), None, "the pointer is on a link");
        assert_eq!(turbo(&[("accept", "*/*")]), None);
        assert_eq!(turbo(&[("accept", "text/html")]), None);
    }

    #[test]
    fn answers_that_show_a_page() {
        let shown = |status: u16, content_type: Option<&str>| {
            let mut answer = Response::builder().status(status);
            if let Some(content_type) = content_type {
                answer = answer.header("content-type", content_type);
            }
            response(&answer.body(()).unwrap())
        };
        assert!(shown(200, Some("text/html")));
        assert!(shown(200, Some("Text/HTML; charset=utf-8")));
        assert!(shown(304, None));
        assert!(!shown(200, None));
        assert!(!shown(200, Some("application/json")));
        assert!(!shown(200, Some("text/html-ish")));
        assert!(!shown(206, Some("text/html")));
        assert!(!shown(302, Some("text/html")));
        assert!(!shown(404, Some("text/html")));
        assert!(!shown(500, Some("text/html")));
    }
}
