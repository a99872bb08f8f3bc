//! Which compressed form of a file a client accepts.

use http::{HeaderMap, header};

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Identity,
    /// `gzip`.
    Gzip,
    /// `br`.
    Brotli,
}

impl Encoding {
    /// The smallest form that `Accept-Encoding` takes, as RFC 9110, section 12.5.3, has it. All
    /// forms are made in advance, so that preferences among those taken do not matter.
    pub(super) fn taken(asked: &HeaderMap) -> Self {
        let values = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let codings: Vec<_> = values.flat_map(|value| value.split(',')).map(parse).collect();
        let takes = |names: &[&str]| {
            let named = codings.iter().find(|(name, _)| names.iter().any(|known| name.eq_ignore_ascii_case(known)));
            named.or_else(|| codings.iter().find(|(name, _)| *name == "*")).is_some_and(|(_, taken)| *taken)
        };
        if takes(&["br"]) {
            Self::Brotli
        } else if takes(&["gzip", "x-gzip"]) {
            Self::Gzip
        } else {
            Self::Identity
        }
    }

    /// The value of `Content-Encoding`; none is named where nothing was done.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }
}

/// A coding's name, and whether its weight is more than 0. A weight that is none refuses.
fn parse(coding: &str) -> (&str, bool) {
    let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
    let weight = match parameters.trim() {
        "" => Some(1.0),
        parameters => parameters.strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok()),
    };
    (name.trim(), weight.is_some_and(|weight| weight > 0.0))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_smallest_form_that_is_taken() {
        for (asked, wanted) in [
            ("gzip, deflate, br, zstd", Encoding::Brotli),
            ("gzip, deflate", Encoding::Gzip),
            ("br;q=0, gzip;q=0.5", Encoding::Gzip),
            ("GZIP ; q=1", Encoding::Gzip),
            ("*", Encoding::Brotli),
            ("*;q=0.1, br;q=0", Encoding::Gzip),
            ("identity", Encoding::Identity),
            ("deflate, zstd", Encoding::Identity),
            ("br;q=", Encoding::Identity),
            ("br;q=x, gzip;q=0.000", Encoding::Identity),
            ("brr, ,;,=;q", Encoding::Identity),
            ("", Encoding::Identity),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_str(asked).unwrap())]);
            assert_eq!(Encoding::taken(&headers), wanted, "{asked}");
        }
        assert_eq!(Encoding::taken(&HeaderMap::new()), Encoding::Identity);
        let bytes = HeaderValue::from_bytes(b"\xff\xfe").unwrap();
        assert_eq!(Encoding::taken(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, bytes)])), Encoding::Identity);
    }
}
