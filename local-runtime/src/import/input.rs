//! Where lines come from: files, plain or compressed with gzip, and the standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;

use super::lines::Lines;

/// How a file is named that is the standard input.
pub const STANDARD_INPUT: &str = "-";

/// One file to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input(PathBuf);

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

    /// Opens it. What begins like gzip is unpacked, whatever it is called; `progress` counts the
    /// bytes read before that.
    ///
    /// # Errors
    /// When it cannot be opened or its beginning cannot be read.
    pub fn open(&self, progress: &ProgressBar) -> io::Result<Lines<Box<dyn BufRead + Send>>> {
        let raw: Box<dyn Read + Send> =
            if self.is_standard_input() { Box::new(io::stdin()) } else { Box::new(File::open(&self.0)?) };
        let mut input = BufReader::with_capacity(BUFFER, progress.wrap_read(raw));
        // A pipe may bring one byte at first; that it is gzip shows only with two.
        let mut begin = Vec::with_capacity(GZIP.len());
        input.by_ref().take(GZIP.len() as u64).read_to_end(&mut begin)?;
        let is_gzip = begin == GZIP;
        let whole = io::Cursor::new(begin).chain(input);
        Ok(Lines::new(if is_gzip {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole)))
        } else {
            Box::new(whole)
        }))
    }
}

/// RFC 1952, section 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::import::lines::Line;

    fn read(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let input = Input::new(file.path().to_owned());
        assert_eq!(input.size(), Some(bytes.len() as u64));
        let mut lines = input.open(&ProgressBar::hidden()).unwrap();
        let mut found = Vec::new();
        while let Some((_, Line::Bytes(line))) = lines.next_line().unwrap() {
            found.push(line.to_vec());
        }
        found
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_packed() {
        assert_eq!(read(b"a\nb"), [b"a", b"b"]);
        assert_eq!(read(b"x"), [b"x"]);
        assert!(read(b"").is_empty());
        // Rotated files are often several members, one behind the other.
        assert_eq!(read(&[gzip(b"a\nb\n"), gzip(b"c\n")].concat()), [b"a", b"b", b"c"]);
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let packed = gzip(b"a line that is long enough to be cut\n");
        file.write_all(&packed[..packed.len() - 12]).unwrap();
        let mut lines = Input::new(file.path().to_owned()).open(&ProgressBar::hidden()).unwrap();
        let error = loop {
            match lines.next_line() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the end came as if nothing were missing"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
