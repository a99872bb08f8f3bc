//! Unpacks files and makes text of them: both are recognised by the first bytes, not by the name.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Readers that can be passed on.
type Bytes = Box<dyn BufRead + Send>;

/// Makes a unit of UTF-16 of its bytes.
type Unit = fn([u8; 2]) -> u16;

const BUFFER: usize = 128 * 1024;
/// The most memory that a file may ask for to be unpacked: as much as `zstd --long` and `xz -9` need.
const MOST_MEMORY: u64 = 128 << 20;

/// Unpacks gzip, bzip2, Zstandard and xz, in several parts, too; says whether it was packed.
///
/// # Errors
/// When the first bytes cannot be read.
pub(super) fn unpack(input: Bytes) -> io::Result<(Bytes, bool)> {
    let (begin, input) = peek(input, 6)?;
    Ok(match begin[..] {
        // RFC 1952, section 2.3.1.
        [0x1f, 0x8b, ..] => (buffered(MultiGzDecoder::new(input)), true),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => (buffered(MultiBzDecoder::new(input)), true),
        // RFC 8878, sections 3.1.1 and 3.1.2.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => (buffered(Zstd::new(input)), true),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            (buffered(XzReader::new_mem_limit(input, true, (MOST_MEMORY >> 10) as u32)), true)
        }
        _ => (input, false),
    })
}

/// Makes UTF-8 of UTF-16, and skips a byte order mark.
///
/// # Errors
/// When the first bytes cannot be read.
pub(super) fn as_utf8(input: Bytes) -> io::Result<Bytes> {
    let (begin, mut input) = peek(input, 3)?;
    let (skip, unit): (usize, Option<Unit>) = match begin[..] {
        [0xff, 0xfe, ..] => (2, Some(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => (2, Some(u16::from_be_bytes)),
        [0xef, 0xbb, 0xbf] => (3, None),
        // Without a mark, ASCII shows which half of a unit comes first.
        [first, 0, ..] if first > 0 => (0, Some(u16::from_le_bytes)),
        [0, second, ..] if second > 0 => (0, Some(u16::from_be_bytes)),
        _ => (0, None),
    };
    input.read_exact(&mut [0; 3][..skip])?;
    Ok(match unit {
        Some(unit) => buffered(Utf16 { input, unit, high: None }),
        None => input,
    })
}

fn buffered(input: impl Read + Send + 'static) -> Bytes {
    Box::new(BufReader::with_capacity(BUFFER, input))
}

/// The first bytes, fewer only at the end, and the whole. A pipe may bring them one by one.
fn peek(mut input: Bytes, count: u64) -> io::Result<(Vec<u8>, Bytes)> {
    let mut begin = Vec::new();
    input.by_ref().take(count).read_to_end(&mut begin)?;
    Ok((begin.clone(), Box::new(Cursor::new(begin).chain(input))))
}

/// Zstandard, frame by frame.
struct Zstd {
    input: Bytes,
    frame: FrameDecoder,
}

impl Zstd {
    fn new(input: Bytes) -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(MOST_MEMORY);
        Self { input, frame }
    }
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.frame.can_collect() > 0 {
                return self.frame.read(buffer);
            }
            if !self.frame.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.frame.decode_blocks(&mut self.input, one).map_err(io::Error::other)?;
            } else if self.input.fill_buf()?.is_empty() {
                return Ok(0);
            } else {
                match self.frame.init(&mut self.input) {
                    Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                        length, ..
                    })) => {
                        io::copy(&mut self.input.by_ref().take(length.into()), &mut io::sink())?;
                    }
                    begun => begun.map_err(io::Error::other)?,
                }
            }
        }
    }
}

/// UTF-16, with what is no character as U+FFFD.
struct Utf16 {
    input: Bytes,
    unit: Unit,
    /// The first half of a pair of surrogates.
    high: Option<u16>,
}

impl Read for Utf16 {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A unit becomes at most three bytes, and a pair four; a lone first half comes before. The
        // buffer has room for many: it is that of a `BufReader`.
        let mut text = String::new();
        while text.len() + 6 <= buffer.len() {
            let available = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                available => available?,
            };
            let mut bytes = [0; 2];
            match available {
                [] => {
                    text.extend(self.high.take().map(|_| char::REPLACEMENT_CHARACTER));
                    break;
                }
                [first, second, ..] => {
                    bytes = [*first, *second];
                    self.input.consume(2);
                }
                // The two bytes of a unit may come apart; half a unit at the end is dropped.
                [_] => match self.input.read_exact(&mut bytes) {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                    read => read?,
                },
            }
            let unit = (self.unit)(bytes);
            if (0xd800..0xdc00).contains(&unit) {
                text.extend(self.high.replace(unit).map(|_| char::REPLACEMENT_CHARACTER));
                continue;
            }
            let units = self.high.take().into_iter().chain([unit]);
            text.extend(char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)));
            if unit == u16::from(b'\n') {
                break;
            }
        }
        buffer[..text.len()].copy_from_slice(text.as_bytes());
        Ok(text.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<(String, bool)> {
        let (input, packed) = unpack(Box::new(Cursor::new(bytes.to_vec())))?;
        let mut text = String::new();
        as_utf8(input)?.read_to_string(&mut text)?;
        Ok((text, packed))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    /// What `printf 'a\nb\n' | xz` writes.
    const XZ: &[u8] = include_bytes!("unpack/lines.xz");

    #[test]
    fn plain_and_packed_in_parts() {
        for plain in ["a\nb", "x", "", "BZhello", "\u{feff}x"] {
            assert_eq!(read(plain.as_bytes()).unwrap(), (plain.trim_start_matches('\u{feff}').to_owned(), false));
        }
        for pack in [gzip, bzip2, zstd] {
            // Rotated files are often several members, one behind the other.
            let packed = [pack(b"a\nb\n"), pack(b"c\n")].concat();
            assert_eq!(read(&packed).unwrap(), ("a\nb\nc\n".to_owned(), true));
        }
        assert_eq!(read(&[XZ, XZ].concat()).unwrap(), ("a\nb\na\nb\n".to_owned(), true));
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9][..], &zstd(b"a\n")].concat();
        assert_eq!(read(&skipped).unwrap().0, "a\n");
        assert_eq!(read(&gzip(b"\xff\xfea\0\n\0")).unwrap(), ("a\n".to_owned(), true));
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let long: Vec<u8> = (0..20_000_u32).flat_map(u32::to_be_bytes).collect();
        for packed in [gzip(&long), bzip2(&long), zstd(&long), XZ.to_vec()] {
            assert!(read(&packed[..packed.len() - 14]).is_err());
        }
    }

    #[test]
    fn utf_16_of_either_order_with_a_mark_and_without() {
        let text = "a é 😀\nb\n";
        for encode in [u16::to_le_bytes, u16::to_be_bytes] {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(encode).collect();
            let mark = encode(0xfeff);
            assert_eq!(read(&[&mark[..], &bytes].concat()).unwrap().0, text);
            assert_eq!(read(&bytes).unwrap().0, text);
            let broken: Vec<u8> =
                [u16::from(b'x'), 0xd83d, 0xd83d, 0xde00, 0xdc00, 0xd800].into_iter().flat_map(encode).collect();
            assert_eq!(read(&[&broken[..], b"!"].concat()).unwrap().0, "x\u{fffd}😀\u{fffd}\u{fffd}");
        }
    }
}
