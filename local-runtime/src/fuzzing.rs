//! What the fuzzer calls with arbitrary bytes (`fuzz/`), as [`common::fuzzing`] for what is read here.

#![allow(clippy::unwrap_used, reason = "for tests: a panic is a finding")]

use common::fuzzing::parameters;
use timeline::Cursor;

use crate::event_line;
use crate::import::format::Reader;
use crate::live::Asked;

/// The lines of an access log or of an export: each is read, or named as malformed.
pub fn log_line(bytes: &[u8]) {
    let mut reader = Reader::new(&[], None);
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Err(malformed) = reader.read(line) {
            let _ = malformed.to_string();
        }
        if let Ok(event) = event_line::read(line) {
            let written = event_line::write(&event).unwrap();
            assert_eq!(event_line::read(&written).as_ref(), Ok(&event), "an exported event is imported as it was");
        }
    }
}

/// A message of a live client.
pub fn message(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some(Asked::Resume { after }) = Asked::parse(text) {
        let again = format!(r#"{{"type":"resume","after":"{after}"}}"#);
        assert_eq!(Asked::parse(&again), Some(Asked::Resume { after }));
    }
}

/// A cursor, or the parameters of any read.
pub fn cursor(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(cursor) = Cursor::parse(&text) {
        assert_eq!(cursor.to_string(), text);
    }
    parameters(&text);
}

#[cfg(test)]
mod tests {
    use common::testing::run_corpus;

    #[test]
    fn log_lines() {
        run_corpus("log_line", super::log_line);
    }

    #[test]
    fn messages() {
        run_corpus("message", super::message);
    }

    #[test]
    fn cursors() {
        run_corpus("cursor", super::cursor);
    }
}
