//! Which requests and answers are a page view.

use http::{HeaderMap, Method, Request, Response, StatusCode, header};

/// What is no page of the site, with everything below it.
const NOT_PAGES: [&str; 5] = ["/api", "/ws", "/health", "/metrics", "/dashboard"];

/// How paths of assets end. What is missing here is told by its content type, unless the
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

/// Whether somebody goes to a page of the site, as far as the request tells.
pub(super) fn request<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET && is_page(request.uri().path()) && is_visit(request.headers())
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
        status => status.is_success() && is_html,
    }
}

fn is_page(path: &str) -> bool {
    let below = |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_asset =
        last.rsplit_once('.').is_some_and(|(_, suffix)| ASSETS.iter().any(|asset| asset.eq_ignore_ascii_case(suffix)));
    !is_asset && !NOT_PAGES.iter().any(below)
}

/// Browsers say when they fetch ahead (`Sec-Purpose`, once `Purpose`) and what for
/// (`Sec-Fetch-Dest`, Fetch Metadata); who says nothing is believed to go there.
fn is_visit(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ahead = ["sec-purpose", "purpose"].iter().any(|name| text(name).is_some_and(|it| it.contains("prefetch")));
    !ahead && text("sec-fetch-dest").is_none_or(|destination| destination == "document")
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

    #[test]
    fn visits_and_what_is_none() {
        let asked = |headers: &[(&'static str, &str)], method: Method| {
            let mut asked = Request::builder().method(method).uri("/cv");
            for (name, value) in headers {
                asked = asked.header(*name, *value);
            }
            request(&asked.body(()).unwrap())
        };
        assert!(asked(&[], Method::GET));
        assert!(asked(&[("sec-fetch-dest", "document")], Method::GET));
        assert!(!asked(&[("sec-fetch-dest", "empty")], Method::GET));
        assert!(!asked(&[("sec-purpose", "prefetch;prerender")], Method::GET));
        assert!(!asked(&[], Method::HEAD));
        assert!(!asked(&[], Method::POST));
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
        assert!(!shown(302, Some("text/html")));
        assert!(!shown(404, Some("text/html")));
        assert!(!shown(500, Some("text/html")));
    }
}
