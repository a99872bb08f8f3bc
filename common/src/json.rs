//! JSON as senders write it, which is not always JSON as the standard wants it.

use std::borrow::Cow;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Makes text readable that a few bytes would make unreadable: a byte order mark is skipped, and
/// what is no character becomes U+FFFD, be it bytes that are no UTF-8 or the escape of a lone
/// surrogate (scripts cut strings in the middle of an emoji). Other text is not copied.
#[must_use]
pub fn mend(text: &[u8]) -> Cow<'_, [u8]> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut mended = match str::from_utf8(text) {
        Ok(_) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(String::from_utf8_lossy(text).into_owned().into_bytes()),
    };
    let mut at = 0;
    while let Some(backslash) = memchr::memchr(b'\\', &mended[at..]) {
        at += backslash;
        at += match (unit(&mended[at..]), unit(mended.get(at + 6..).unwrap_or_default())) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                mended.to_mut()[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            // Any other escape begins with two bytes that are none of the next one's.
            _ => 2,
        };
        at = at.min(mended.len());
    }
    mended
}

/// The UTF-16 code unit of the escape `\uXXXX` that `text` begins with.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mended(text: &str) -> String {
        String::from_utf8(mend(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn lone_surrogates_become_replacement_characters() {
        for (sent, read) in [
            (r#""party\ud83d""#, "\"party\\ufffd\""),
            (r#""\udc00\uD83D""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83dx\ude00""#, r#""\ufffdx\ufffd""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
        ] {
            assert_eq!(mended(sent), read);
            assert!(serde_json::from_str::<String>(read).is_ok());
        }
    }

    #[test]
    fn other_text_is_kept() {
        for text in [r#"{"a":"é\u00e9\ud83d\ude00"}"#, r#""\\ud83d""#, r#""\\\\ud83d \" \u""#, r"\", r"\ud8", ""] {
            assert!(matches!(mend(text.as_bytes()), Cow::Borrowed(kept) if kept == text.as_bytes()), "{text}");
        }
        assert_eq!(mended(r#""\\\ud83d""#), r#""\\\ufffd""#);
    }

    #[test]
    fn a_byte_order_mark_is_skipped_and_bytes_that_are_no_text_are_replaced() {
        assert_eq!(*mend(b"\xef\xbb\xbf{}"), *b"{}");
        assert_eq!(*mend(b"\"\xe9\\udfff\""), *"\"\u{fffd}\\ufffd\"".as_bytes());
    }

    proptest! {
        #[test]
        fn every_string_of_code_units_can_be_read(units in proptest::collection::vec(any::<u16>(), 0..8), high in any::<bool>()) {
            let escapes: String =
                units.iter().map(|unit| format!("\\u{:04x}", if high { unit | 0xd800 } else { *unit })).collect();
            let text: String = serde_json::from_slice(&mend(format!("\"{escapes}\"").as_bytes())).unwrap();
            let units: Vec<u16> = units.iter().map(|unit| if high { unit | 0xd800 } else { *unit }).collect();
            prop_assert_eq!(text, String::from_utf16_lossy(&units));
        }
    }
}
