//! Where lines come from: files, plain or packed, and the standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use common::time::{SECOND, Timestamp};
use indicatif::ProgressBar;
use tokio::sync::mpsc;

use super::lines::{Line, Lines};
use super::unpack::{as_utf8, unpack};

/// How a file is named that is the standard input.
pub const STANDARD_INPUT: &str = "-";

/// A plain file that was not written to for so long is finished: a minute, in milliseconds.
const WRITING: i64 = 60 * SECOND;
/// Lines that are read ahead.
const AHEAD: usize = 1_024;
const BUFFER: usize = 128 * 1024;

/// One file to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input(PathBuf);

/// What is read of an input, piece by piece.
#[derive(Debug)]
pub(super) enum Piece {
    /// A line.
    Line {
        /// Its number in the input, from 1.
        number: u64,
        /// Its bytes; `None` when there are too many.
        bytes: Option<Vec<u8>>,
        /// Whether a line break ends it, or the end of a packed file, which is not written to any
        /// more.
        is_ended: bool,
    },
    /// The input could not be read on.
    Failed {
        /// The last line that was read.
        line: u64,
        /// What the system said.
        source: io::Error,
    },
}

impl Input {
    /// The file at `path`, or for `-` the standard input.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Whether it is the standard input, which can be read but once.
    #[must_use]
    pub fn is_standard_input(&self) -> bool {
        self.0.as_path() == Path::new(STANDARD_INPUT)
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> String {
        if self.is_standard_input() { "standard input".to_owned() } else { self.0.display().to_string() }
    }

    /// Its size as it lies on the disk; `None` for what is no file.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        let file = std::fs::metadata(&self.0).ok().filter(std::fs::Metadata::is_file);
        file.map(|file| file.len()).filter(|_| !self.is_standard_input())
    }

    /// Whether it is a file that was not written to lately, so that its last line is complete.
    pub(super) fn is_at_rest(&self, now: Timestamp) -> bool {
        let file = std::fs::metadata(&self.0).ok().filter(|file| file.is_file() && !self.is_standard_input());
        let written = file.and_then(|file| file.modified().ok()?.duration_since(UNIX_EPOCH).ok());
        written.is_some_and(|written| now.millis() - written.as_millis() as i64 > WRITING)
    }

    /// Opens it. What is packed is unpacked, whatever it is called; `progress` counts the bytes
    /// read before that.
    ///
    /// # Errors
    /// When it cannot be opened or its beginning cannot be read.
    pub fn open(&self, progress: &ProgressBar) -> io::Result<Lines<Box<dyn BufRead + Send>>> {
        self.open_packed(progress).map(|(lines, _)| lines)
    }

    /// Opens it, and says whether it is packed.
    fn open_packed(&self, progress: &ProgressBar) -> io::Result<(Lines<Box<dyn BufRead + Send>>, bool)> {
        let raw: Box<dyn Read + Send> =
            if self.is_standard_input() { Box::new(io::stdin()) } else { Box::new(File::open(&self.0)?) };
        let (unpacked, is_packed) = unpack(Box::new(BufReader::with_capacity(BUFFER, progress.wrap_read(raw))))?;
        Ok((Lines::new(as_utf8(unpacked)?), is_packed))
    }

    /// Reads it on a thread of its own, so that lines can be waited for: a pipe may bring the next
    /// one after hours. The thread ends with the input, or when the receiver is dropped and a line
    /// comes.
    pub(super) fn pieces(&self, progress: &ProgressBar) -> mpsc::Receiver<Piece> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (input, progress) = (self.clone(), progress.clone());
        std::thread::spawn(move || {
            let (mut lines, is_packed) = match input.open_packed(&progress) {
                Ok(opened) => opened,
                Err(source) => {
                    let _ = sender.blocking_send(Piece::Failed { line: 0, source });
                    return;
                }
            };
            loop {
                let read = match lines.next_line() {
                    Ok(Some((number, Line::Bytes(bytes)))) => Ok((number, Some(bytes.to_vec()))),
                    Ok(Some((number, Line::TooLong))) => Ok((number, None)),
                    Ok(None) => return,
                    Err(source) => Err(source),
                };
                let piece = match read {
                    Ok((number, bytes)) => Piece::Line { number, bytes, is_ended: is_packed || lines.is_ended() },
                    Err(source) => Piece::Failed { line: lines.number(), source },
                };
                let is_last = matches!(piece, Piece::Failed { .. });
                if sender.blocking_send(piece).is_err() || is_last {
                    return;
                }
            }
        });
        receiver
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[tokio::test]
    async fn lines_come_with_their_numbers_and_ends() {
        let file = file(b"a\n\nb");
        let input = Input::new(file.path().to_owned());
        assert_eq!(input.size(), Some(4));
        let mut pieces = input.pieces(&ProgressBar::hidden());
        let mut found = Vec::new();
        while let Some(Piece::Line { number, bytes, is_ended }) = pieces.recv().await {
            found.push((number, bytes.unwrap(), is_ended));
        }
        assert_eq!(found, [(1, b"a".to_vec(), true), (3, b"b".to_vec(), false)]);
    }

    #[tokio::test]
    async fn the_end_of_a_packed_file_ends_its_last_line() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"a").unwrap();
        let packed = encoder.finish().unwrap();
        let whole = file(&packed);
        let mut pieces = Input::new(whole.path().to_owned()).pieces(&ProgressBar::hidden());
        assert!(matches!(pieces.recv().await, Some(Piece::Line { is_ended: true, .. })));
        let cut = file(&packed[..packed.len() - 6]);
        let mut pieces = Input::new(cut.path().to_owned()).pieces(&ProgressBar::hidden());
        let mut last = None;
        while let Some(piece) = pieces.recv().await {
            last = Some(piece);
        }
        assert!(matches!(last, Some(Piece::Failed { .. })), "what is cut off is an error");
    }

    #[test]
    fn a_file_is_at_rest_a_minute_after_it_was_written() {
        let file = file(b"a");
        let written = Timestamp::parse("2026-01-02T03:04:05Z").unwrap();
        file.as_file().set_modified(UNIX_EPOCH + std::time::Duration::from_millis(written.millis() as u64)).unwrap();
        let input = Input::new(file.path().to_owned());
        assert!(!input.is_at_rest(written.plus(WRITING)));
        assert!(input.is_at_rest(written.plus(WRITING + 1)));
        assert!(!Input::new("-".into()).is_at_rest(written));
    }
}
