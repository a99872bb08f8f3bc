//! What a server answers.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, no longer chunked.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| &**value)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?} {:?}", self.status, self.headers, self.text()))
    }

    /// Fails the test unless this is a failure in the shape that all failures have, with this
    /// status and code. Answers what it says is wrong.
    #[track_caller]
    pub fn refused(&self, what: &str, status: u16, code: &str) -> String {
        let error = self.refused_somehow(what);
        assert_eq!((self.status, &self.json()["code"]), (status, &Value::from(code)), "{what}: {}", self.text());
        error
    }

    /// Fails the test unless this is a failure in the shape that all failures have. Answers
    /// what it says is wrong.
    #[track_caller]
    pub fn refused_somehow(&self, what: &str) -> String {
        assert!(self.status >= 400, "{what}: {} {}", self.status, self.text());
        let kind = self.header("content-type").unwrap_or("none");
        assert!(kind.starts_with("application/json"), "{what}: content-type {kind}: {}", self.text());
        let body = self.json();
        assert_eq!(body["success"], false, "{what}: {body}");
        for field in ["error", "code", "request_id"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{what}: {field} of {body}");
        }
        assert_eq!(self.header("x-request-id"), body["request_id"].as_str(), "{what}: {body}");
        crate::text(&body["error"]).to_owned()
    }

    /// Reads the answer to a request with this method, past interim ones.
    pub(crate) async fn read(reader: &mut (impl AsyncBufRead + Unpin), method: &str) -> io::Result<Self> {
        loop {
            let answer = Self::read_next(reader, method).await?;
            if answer.status >= 200 || answer.status == 101 {
                return Ok(answer);
            }
        }
    }

    /// Reads the next answer, an interim one too.
    pub(crate) async fn read_next(reader: &mut (impl AsyncBufRead + Unpin), method: &str) -> io::Result<Self> {
        let status_line = line(reader).await?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status: {status_line:?}")))?;
        let mut answer = Self { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let header = line(reader).await?;
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').ok_or_else(|| io::Error::other("no header"))?;
            answer.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if method == "HEAD" || status < 200 || matches!(status, 204 | 304) {
            return Ok(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = chunks(reader).await?;
        } else if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().map_err(io::Error::other)?];
            reader.read_exact(&mut answer.body).await?;
        } else {
            reader.read_to_end(&mut answer.body).await?;
        }
        Ok(answer)
    }
}

async fn line(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).await?;
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(io::Error::other)
}

async fn chunks(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(reader).await?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
        let size = size.map_err(io::Error::other)?;
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..]).await?;
        line(reader).await?;
        if size == 0 {
            return Ok(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> io::Result<Answer> {
        Answer::read(&mut bytes, "GET").await
    }

    #[tokio::test]
    async fn bodies_of_all_kinds() {
        for (text, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more", "hi"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\n\r\n", "hi"),
            ("HTTP/1.1 200 OK\r\n\r\nhi", "hi"),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "hi"),
            ("HTTP/1.1 204 No Content\r\n\r\nhi", ""),
        ] {
            assert_eq!(read(text.as_bytes()).await.unwrap().text(), body, "{text}");
        }
        for cut in ["", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi", "HTTP/1.1 200 OK\r\ncont"] {
            assert!(read(cut.as_bytes()).await.is_err(), "{cut}");
        }
    }
}
