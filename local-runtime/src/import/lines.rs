//! Lines of any input, one at a time, in bounded memory.

use std::io::{self, BufRead};

/// The most bytes of a line; longer ones are passed over as [`Line::TooLong`].
pub const LONGEST: usize = 64 * 1024;

/// One line of an input.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes, without the line break.
    Bytes(&'a [u8]),
    /// It has more than [`LONGEST`] bytes.
    TooLong,
}

/// Cuts an input into lines. They end with LF or CR LF; the last one may have no end, see
/// [`Lines::is_ended`].
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    is_ended: bool,
}

impl<R: BufRead> Lines<R> {
    /// Before the first line of an input.
    pub const fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0, is_ended: true }
    }

    /// The next line that is not blank, and its number in the input, from 1.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        loop {
            let Some(too_long) = self.fill()? else { return Ok(None) };
            self.number += 1;
            if too_long {
                return Ok(Some((self.number, Line::TooLong)));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        Ok(Some((self.number, Line::Bytes(line))))
    }

    /// How many lines were read, blank ones included.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Whether the line that was read last has a line break.
    pub const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Reads one line and says whether it is too long; `None` at the end of the input.
    fn fill(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let (mut read_any, mut too_long) = (false, false);
        loop {
            let chunk = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() {
                self.is_ended = !read_any;
                return Ok(read_any.then_some(too_long));
            }
            read_any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            too_long |= self.line.len() + part.len() > LONGEST;
            if !too_long {
                self.line.extend_from_slice(part);
            }
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(too_long));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(input: &[u8], buffer: usize) -> Vec<(u64, Option<usize>)> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, input));
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next_line().unwrap() {
            found.push(match line {
                Line::Bytes(bytes) => (number, Some(bytes.len())),
                Line::TooLong => (number, None),
            });
        }
        found
    }

    #[test]
    fn ends_and_blanks() {
        for buffer in [1, 3, 100] {
            assert_eq!(lines(b"ab\r\n\n \ncde\nf", buffer), [(1, Some(2)), (4, Some(3)), (5, Some(1))]);
            assert_eq!(lines(b"", buffer), []);
            assert_eq!(lines(b"\n\n", buffer), []);
        }
    }

    #[test]
    fn the_last_line_may_have_no_end() {
        for (input, ended) in [(&b"a\nb"[..], false), (b"a\nb\n", true), (b"a\r", false), (b"a\n\n", true)] {
            let mut lines = Lines::new(input);
            let mut last = true;
            while lines.next_line().unwrap().is_some() {
                last = lines.is_ended();
            }
            assert_eq!(last, ended, "{input:?}");
        }
    }

    #[test]
    fn a_long_line_is_passed_over_and_the_next_one_read() {
        let mut input = vec![b'x'; LONGEST];
        input.push(b'\n');
        input.extend(vec![b'y'; 10 * LONGEST]);
        input.extend(b"\nz");
        assert_eq!(lines(&input, 1_000), [(1, Some(LONGEST)), (2, None), (3, Some(1))]);
        let mut reader = Lines::new(BufReader::new(&input[..]));
        while reader.next_line().unwrap().is_some() {}
        assert!(reader.line.capacity() <= 2 * LONGEST);
    }
}
