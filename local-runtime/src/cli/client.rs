//! As much of an HTTP/1.1 client as a health check and a demonstration need: one request on a
//! connection of its own, and an answer that is read to its end.

use std::fmt::Write;

/// The most bytes of an answer that are read: 64 KiB.
pub(crate) const MOST_BYTES: u64 = 64 * 1024;

/// A request to an origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// `GET` or `POST`.
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) path: &'a str,
    /// Host and port.
    pub(crate) host: &'a str,
    /// Headers besides those that every request has.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The body, JSON; empty for none.
    pub(crate) body: &'a str,
}

impl Request<'_> {
    /// What goes over the wire.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut text =
            format!("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.method, self.path, self.host);
        for (name, value) in self.headers {
            // Writing to a string cannot fail.
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            let _ = write!(text, "Content-Type: application/json\r\nContent-Length: {}\r\n", self.body.len());
        }
        text.push_str("\r\n");
        text.push_str(self.body);
        text.into_bytes()
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// After how many seconds it is worth asking again, if it says so.
    pub(crate) retry_after: Option<u64>,
    /// Its body as it came; chunks are not put together.
    pub(crate) body: String,
}

impl Answer {
    /// Reads what came until the connection was closed; `None` when it is no answer.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        let retry_after = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
            .and_then(|(_, value)| value.trim().parse().ok());
        Some(Self { status, retry_after, body: body.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let request = Request { method: "POST", path: "/x", host: "a:1", headers: &[("X-Y", "z")], body: "{}" };
        assert_eq!(
            String::from_utf8(request.to_bytes()).unwrap(),
            "POST /x HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\nX-Y: z\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        );
    }

    #[test]
    fn answers() {
        let answer = Answer::parse(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\nbody").unwrap();
        assert_eq!(answer, Answer { status: 429, retry_after: Some(7), body: "body".into() });
        for none in [&b""[..], b"HTTP/1.1 200 OK", b"SSH-2.0\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"] {
            assert_eq!(Answer::parse(none), None);
        }
    }
}
