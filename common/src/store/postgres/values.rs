//! Our types as PostgreSQL's, and text that may hold what PostgreSQL's text may not.

use std::borrow::Cow;
use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::time::{Day, Timestamp};

/// 2000-01-01 in milliseconds since 1970: where PostgreSQL's time begins.
const EPOCH_MILLIS: i64 = 946_684_800_000;
/// The same in days.
const EPOCH_DAYS: i32 = 10_957;

impl ToSql for Timestamp {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&((self.millis() - EPOCH_MILLIS) * 1_000).to_be_bytes());
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Timestamp {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        Ok(Self::from_millis((micros.div_euclid(1_000)).saturating_add(EPOCH_MILLIS)))
    }

    accepts!(TIMESTAMPTZ);
}

impl ToSql for Day {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&(self.number() - EPOCH_DAYS).to_be_bytes());
        Ok(IsNull::No)
    }

    accepts!(DATE);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Day {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::from_number(i32::from_be_bytes(raw.try_into()?).saturating_add(EPOCH_DAYS)))
    }

    accepts!(DATE);
}

/// PostgreSQL's text has no NUL, and names that senders choose may have one: NUL becomes
/// U+0001 U+0001, and U+0001 becomes U+0001 U+0002, which keeps the order of bytes.
pub(super) fn to_text(value: &str) -> Cow<'_, str> {
    if value.bytes().all(|byte| byte > 1) {
        return value.into();
    }
    value.replace('\u{1}', "\u{1}\u{2}").replace('\0', "\u{1}\u{1}").into()
}

/// The way back from [`to_text`].
pub(super) fn from_text(text: &str) -> String {
    if !text.contains('\u{1}') {
        return text.to_owned();
    }
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        value.push(match char {
            '\u{1}' if chars.next() == Some('\u{1}') => '\0',
            char => char,
        });
    }
    value
}

/// A count; the database's are never below zero unless somebody changed them by hand.
pub(super) fn count(value: i64) -> u64 {
    value.max(0).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_comes_back_and_keeps_its_order(
            a in proptest::collection::vec(0_u8..4, 0..6), b in proptest::collection::vec(0_u8..4, 0..6)
        ) {
            let [a, b] = [a, b].map(|bytes| String::from_utf8(bytes).unwrap());
            prop_assert_eq!(from_text(&to_text(&a)), a.clone());
            prop_assert!(!to_text(&a).contains('\0'));
            prop_assert_eq!(a.cmp(&b), to_text(&a).cmp(&to_text(&b)));
        }

        #[test]
        fn instants_and_days_come_back(millis in 0_i64..253_402_300_800_000) {
            let (at, mut out) = (Timestamp::from_millis(millis), BytesMut::new());
            at.to_sql(&Type::TIMESTAMPTZ, &mut out).unwrap();
            prop_assert_eq!(Timestamp::from_sql(&Type::TIMESTAMPTZ, &out).unwrap(), at);
            let (day, mut out) = (at.day(), BytesMut::new());
            day.to_sql(&Type::DATE, &mut out).unwrap();
            prop_assert_eq!(Day::from_sql(&Type::DATE, &out).unwrap(), day);
        }
    }
}
