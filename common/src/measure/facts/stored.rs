//! Fields in one text: separated by tabs, without the empty ones at the end.
//!
//! The order of fields never changes; new ones are added at the end.

use std::sync::Arc;

const SEPARATOR: char = '\t';

/// Joins fields of at most `longest` characters; what is longer is cut, and control characters
/// are left out.
pub(super) fn pack(fields: &[&str], longest: usize) -> Arc<str> {
    let mut text = String::with_capacity(fields.iter().map(|field| field.len() + 1).sum());
    for (number, field) in fields.iter().enumerate() {
        if number > 0 {
            text.push(SEPARATOR);
        }
        // Without a way out of the loop it takes many bytes at a time.
        let is_plain = || field.bytes().fold(true, |plain, byte| plain & (b' '..0x7f).contains(&byte));
        if field.len() <= longest && is_plain() {
            text.push_str(field);
        } else {
            text.extend(field.chars().filter(|letter| !letter.is_control()).take(longest));
        }
    }
    text.trim_end_matches(SEPARATOR).into()
}

/// The first `N` fields; those that the text does not have are empty.
pub(super) fn unpack<const N: usize>(text: &str) -> [&str; N] {
    let mut fields = text.split(SEPARATOR);
    [(); N].map(|()| fields.next().unwrap_or_default())
}
