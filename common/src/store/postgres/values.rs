//! Our types as PostgreSQL's.

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

/// A count; the database's are never below zero unless they were changed by hand.
pub(super) fn count(value: i64) -> u64 {
    value.max(0).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
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
