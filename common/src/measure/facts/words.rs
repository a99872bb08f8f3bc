//! Searching a text for many words of which it has few.

/// A word to search for, and its letters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    text: &'static str,
    letters: u64,
}

pub(super) const fn word(text: &'static str) -> Word {
    Word { text, letters: letters(text) }
}

/// A text to search, and its letters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    text: &'a str,
    letters: u64,
}

impl<'a> Text<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, letters: letters(text) }
    }

    /// What stands before the word and behind it, if the text has it.
    pub(super) fn split_once(self, word: Word) -> Option<(&'a str, &'a str)> {
        if self.has(word) { self.text.split_once(word.text) } else { None }
    }

    /// Whether the text has the word. Nearly all words that it does not have are ruled out by a letter, which
    /// takes a few instructions; a search takes more than a hundred.
    pub(super) fn has(self, word: Word) -> bool {
        word.letters & !self.letters == 0 && self.text.contains(word.text)
    }

    /// Whether the text has one of the words.
    pub(super) fn has_any(self, words: &[Word]) -> bool {
        words.iter().any(|word| self.has(*word))
    }
}

/// The set of a text's letters: a bit for each ASCII character from `@` on; other bytes have none or
/// the bit of one of these.
const fn letters(text: &str) -> u64 {
    let (bytes, mut letters, mut at) = (text.as_bytes(), 0, 0);
    while at < bytes.len() {
        letters |= ((bytes[at] >> 6 & 1) as u64) << (bytes[at] & 63);
        at += 1;
    }
    letters
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_contains_has_it(text in "[a-c?@\u{e1}-\u{e3}]{0,20}") {
            for named in ["", "a", "ab", "c?", "@", "á", "bâ", "\u{fe}"] {
                prop_assert_eq!(Text::new(&text).has(word(named)), text.contains(named), "{}", named);
            }
        }
    }
}
