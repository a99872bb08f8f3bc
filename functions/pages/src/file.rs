//! A file that is part of the program, and the answers that carry it.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use super::encoding::Encoding;

/// Nothing from elsewhere, nothing inline but pictures, no frames, no forms.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                                 font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                                 frame-ancestors 'none'";

/// The same for the page, which these origins may show in a frame.
pub(super) fn policy(frame_ancestors: &[String]) -> HeaderValue {
    let none = HeaderValue::from_static(POLICY);
    match (POLICY.strip_suffix("'none'"), frame_ancestors) {
        (None, _) | (_, []) => none,
        // Origins are characters of headers.
        (Some(policy), origins) => HeaderValue::from_str(&format!("{policy}{}", origins.join(" "))).unwrap_or(none),
    }
}

/// A file as the build has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Embedded {
    /// Where it is served.
    pub(super) path: &'static str,
    /// Its bytes.
    pub(super) plain: &'static [u8],
    /// Its bytes compressed, where that makes them fewer.
    pub(super) brotli: Option<&'static [u8]>,
    /// The same for those who do not know Brotli.
    pub(super) gzip: Option<&'static [u8]>,
}

impl Embedded {
    /// One that is sent as it is, or compressed on its way out.
    pub(super) const fn plain(path: &'static str, text: &'static str) -> Self {
        Self { path, plain: text.as_bytes(), brotli: None, gzip: None }
    }
}

/// How long a cache may use a file before it asks again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kept {
    /// It is asked for each time, so that a new version is seen at once.
    Never,
    /// An hour: every page of a site loads it.
    AnHour,
    /// For good: its name changes with its bytes.
    Always,
}

impl Kept {
    const fn cache_control(self) -> &'static str {
        match self {
            Self::Never => "no-cache",
            Self::AnHour => "public, max-age=3600",
            Self::Always => "public, max-age=31536000, immutable",
        }
    }
}

/// A file in its forms, with what is said about it.
#[derive(Debug)]
pub(super) struct File {
    /// Where it is served.
    pub(super) path: &'static str,
    plain: Bytes,
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
    content_type: &'static str,
    kept: Kept,
    etag: HeaderValue,
}

impl File {
    /// A file as the build has it.
    pub(super) fn new(embedded: Embedded, kept: Kept) -> Self {
        let compressed = |form: Option<&'static [u8]>| form.map(Bytes::from_static);
        let (brotli, gzip) = (compressed(embedded.brotli), compressed(embedded.gzip));
        Self { brotli, gzip, ..Self::made(embedded.path, Bytes::from_static(embedded.plain), kept) }
    }

    /// A file that is made at start; it is compressed on its way out.
    pub(super) fn made(path: &'static str, plain: Bytes, kept: Kept) -> Self {
        let digest: [u8; 32] = Sha256::digest(&plain).into();
        let mut begin = [0; 8];
        begin.copy_from_slice(&digest[..8]);
        // Weak, because it stands for all forms of the file.
        let etag = format!("W/\"{:016x}\"", u64::from_be_bytes(begin));
        // Quotes and hexadecimal digits are always a header's value.
        let etag = HeaderValue::from_str(&etag).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
        Self { path, plain, brotli: None, gzip: None, content_type: content_type(path), kept, etag }
    }

    /// The file in the smallest form that is taken, or 304 to those who have it.
    pub(super) fn answer(&self, asked: &HeaderMap) -> Response {
        let (body, encoding) = self.form(Encoding::taken(asked));
        let headers = [
            (header::ETAG, self.etag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static(self.kept.cache_control())),
            (header::CONTENT_TYPE, HeaderValue::from_static(self.content_type)),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            // A page that the dashboard opens may tell it where its elements are.
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                HeaderValue::from_static("same-origin-allow-popups"),
            ),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
        ];
        if self.is_known_by(asked) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let mut response = (headers, body).into_response();
        if let Some(name) = encoding.name() {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        response
    }

    /// The bytes for a client that accepts this encoding, and how these are encoded.
    fn form(&self, taken: Encoding) -> (Bytes, Encoding) {
        match (taken, &self.brotli, &self.gzip) {
            (Encoding::Brotli, Some(brotli), _) => (brotli.clone(), Encoding::Brotli),
            (Encoding::Gzip, _, Some(gzip)) => (gzip.clone(), Encoding::Gzip),
            _ => (self.plain.clone(), Encoding::Identity),
        }
    }

    /// Whether `If-None-Match` names this version; weakly, as RFC 9110, section 13.1.2, has it.
    fn is_known_by(&self, asked: &HeaderMap) -> bool {
        let own = self.etag.as_bytes().strip_prefix(b"W/").unwrap_or_default();
        let tags = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        tags.flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || tag.as_bytes() == own)
    }
}

/// By the end of the name; only what a dashboard is made of.
fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
