//! A dictionary: sorted texts, each without the beginning that it shares with the one before.
//!
//! ```text
//! dictionary := capped:u8 count text…     the text of number 0, the unknown value, is left out
//! text       := shared length bytes       `shared` bytes of the text before, then `length` bytes
//! ```

use super::bytes::{Reader, put};
use super::{Damaged, MOST_TEXTS};
use crate::measure::texts::Texts;

/// The most bytes of one text; nothing that is kept of an event is longer.
const LONGEST: usize = 16 * 1_024;

/// The bytes of a dictionary; `texts` are sorted and do not hold the unknown value.
pub(in crate::measure) fn encode<'a>(texts: impl ExactSizeIterator<Item = &'a str>, capped: bool) -> Vec<u8> {
    let mut bytes = vec![u8::from(capped)];
    put(texts.len() as u64, &mut bytes);
    let mut before = "";
    for text in texts {
        let shared = before.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        put(shared as u64, &mut bytes);
        put((text.len() - shared) as u64, &mut bytes);
        bytes.extend_from_slice(&text.as_bytes()[shared..]);
        before = text;
    }
    bytes
}

/// How many texts a dictionary has, without the unknown value.
pub(super) fn count(bytes: &[u8]) -> Result<usize, Damaged> {
    let mut reader = Reader(bytes);
    reader.byte()?;
    reader.number_as()
}

/// The bytes of memory that the texts of a dictionary take once they are read, at most.
pub(super) fn memory(bytes: &[u8]) -> Result<usize, Damaged> {
    let mut reader = Reader(bytes);
    reader.byte()?;
    let count: usize = reader.number_as()?;
    let (mut memory, mut before) = (0, 0);
    for _ in 0..count {
        let (shared, length): (usize, usize) = (reader.number_as()?, reader.number_as()?);
        reader.take(length)?;
        if shared > before || shared + length > LONGEST {
            return Err(Damaged);
        }
        before = shared + length;
        // Where it ends, and its place among the texts of another day.
        memory += 8 + before;
    }
    Ok(memory)
}

/// Reads a dictionary from exactly these bytes, and whether values were left out of it.
pub(in crate::measure) fn decode(bytes: &[u8], unknown: &str) -> Result<(Texts, bool), Damaged> {
    let mut reader = Reader(bytes);
    let capped = reader.byte()? != 0;
    let count: usize = reader.number_as()?;
    if count > MOST_TEXTS || count > bytes.len() {
        return Err(Damaged);
    }
    let mut text = Vec::with_capacity(unknown.len() + 2 * bytes.len());
    let mut ends = Vec::with_capacity(count + 1);
    text.extend_from_slice(unknown.as_bytes());
    ends.push(unknown.len() as u32);
    // Nothing is shared with the unknown value.
    let mut before = text.len()..text.len();
    for number in 0..count {
        let (shared, length): (usize, usize) = (reader.number_as()?, reader.number_as()?);
        let own = reader.take(length)?;
        if shared > before.len() || shared + length > LONGEST {
            return Err(Damaged);
        }
        // Texts ascend, so that they can be searched.
        if number > 0 && own.first() <= text[before.clone()].get(shared) {
            return Err(Damaged);
        }
        let start = text.len();
        text.extend_from_within(before.start..before.start + shared);
        text.extend_from_slice(own);
        before = start..text.len();
        ends.push(u32::try_from(text.len()).map_err(|_| Damaged)?);
    }
    reader.end()?;
    text.shrink_to_fit();
    Ok((Texts::sorted(text, ends).ok_or(Damaged)?, capped))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of as many bytes as a number can say, and of one more than the text before has.
    #[test]
    fn a_text_that_shares_more_than_there_is_is_damage() {
        for shared in [u64::MAX, 2] {
            let mut bytes = vec![0, 2, 0, 1, b'a'];
            put(shared, &mut bytes);
            bytes.extend([1, b'b']);
            assert!(decode(&bytes, "?").is_err() && memory(&bytes).is_err(), "{shared}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn dictionaries_survive(texts in prop::collection::btree_set("/?(b|bl|blog|é|ê)?/?[a-c]{0,3}", 0..40), capped: bool) {
            let bytes = encode(texts.iter().map(String::as_str), capped);
            let (read, read_capped) = decode(&bytes, "?").unwrap();
            prop_assert_eq!(read_capped, capped);
            prop_assert!(read.memory() <= memory(&bytes).unwrap() + 9);
            for (number, text) in (0..).zip(read.iter()) {
                prop_assert_eq!(read.find(text), Some(number));
                prop_assert_eq!(read.find(&format!("{text}!")), None);
            }
            let all: Vec<&str> = std::iter::once("?").chain(texts.iter().map(String::as_str)).collect();
            prop_assert_eq!(read.iter().collect::<Vec<_>>(), all);
            prop_assert!(decode(&bytes[..bytes.len() - 1], "").is_err());
        }

        #[test]
        fn damaged_dictionaries_are_errors_or_texts(bytes in prop::collection::vec(0_u8..8, 0..60)) {
            if let Ok((texts, _)) = decode(&bytes, "") {
                prop_assert!(texts.iter().skip(1).is_sorted_by(|a, b| a < b));
            }
        }
    }

    #[test]
    fn shared_beginnings_are_written_once() {
        let texts: Vec<String> = (1_000..2_000).map(|number| format!("/a/long/path/that/is/shared/{number}")).collect();
        assert!(encode(texts.iter().map(String::as_str), false).len() < 5 * 1_000);
    }
}
