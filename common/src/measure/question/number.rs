//! Exact decimal numbers, so that results are the same bytes everywhere.

use std::cmp::Ordering;
use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A decimal number: `scaled / 10^decimals`. It is written with exactly that many decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number {
    scaled: i64,
    decimals: u8,
}

impl Number {
    /// A whole number.
    #[must_use]
    pub const fn whole(value: i64) -> Self {
        Self { scaled: value, decimals: 0 }
    }

    /// A count; counts beyond [`i64::MAX`] do not occur.
    #[must_use]
    pub fn count(value: u64) -> Self {
        Self::whole(i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// `numerator / denominator`, rounded to `decimals` (at most 9), halves away from zero; `None` when
    /// the denominator is 0. For percent, multiply the numerator by 100.
    #[must_use]
    pub fn ratio(numerator: i128, denominator: u64, decimals: u8) -> Option<Self> {
        if denominator == 0 {
            return None;
        }
        let (denominator, decimals) = (i128::from(denominator), decimals.min(9));
        let scaled = numerator.saturating_mul(10_i128.pow(decimals.into()));
        let half = if scaled < 0 { -denominator } else { denominator };
        let rounded = scaled.saturating_mul(2).saturating_add(half) / (2 * denominator);
        let bounded = rounded.clamp(i64::MIN.into(), i64::MAX.into());
        Some(Self { scaled: i64::try_from(bounded).unwrap_or(i64::MAX), decimals })
    }

    /// The number times `10^decimals`.
    #[must_use]
    pub const fn scaled(self) -> i64 {
        self.scaled
    }

    /// How many of its digits are decimals.
    #[must_use]
    pub const fn decimals(self) -> u8 {
        self.decimals
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By value; of equal values, the one with fewer decimals comes first.
impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let decimals = self.decimals.max(other.decimals);
        let at = |number: &Self| i128::from(number.scaled) * 10_i128.pow((decimals - number.decimals).into());
        at(self).cmp(&at(other)).then(self.decimals.cmp(&other.decimals))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.scaled < 0 { "-" } else { "" };
        let (scaled, unit) = (self.scaled.unsigned_abs(), 10_u64.pow(self.decimals.into()));
        write!(f, "{sign}{}", scaled / unit)?;
        match usize::from(self.decimals) {
            0 => Ok(()),
            width => write!(f, ".{:0width$}", scaled % unit),
        }
    }
}

/// A JSON number with all decimals, such as `66.70`.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl PartialSchema for Number {
    fn schema() -> RefOr<Schema> {
        f64::schema()
    }
}

impl ToSchema for Number {}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(numerator: i128, denominator: u64, decimals: u8) -> String {
        Number::ratio(numerator, denominator, decimals).unwrap().to_string()
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        assert_eq!(ratio(1, 2, 0), "1");
        assert_eq!(ratio(-1, 2, 0), "-1");
        assert_eq!(ratio(3, 2, 0), "2");
        assert_eq!(ratio(-3, 2, 0), "-2");
        assert_eq!(ratio(-1, 3, 0), "0");
        assert_eq!(ratio(100, 8, 1), "12.5");
        assert_eq!(ratio(1, 8, 2), "0.13");
        assert_eq!(ratio(200, 3, 2), "66.67");
        assert_eq!(ratio(0, 3, 2), "0.00");
        assert_eq!(Number::ratio(1, 0, 0), None);
    }

    #[test]
    fn no_ratio_overflows() {
        for numerator in [i128::MAX, i128::MIN, i128::from(i64::MAX)] {
            for denominator in [1, u64::MAX] {
                for decimals in [0, 9, u8::MAX] {
                    let _ = ratio(numerator, denominator, decimals);
                }
            }
        }
    }

    #[test]
    fn numbers_are_written_with_all_decimals() {
        assert_eq!(serde_json::to_string(&Number::ratio(25, 1, 2)).unwrap(), "25.00");
        assert_eq!(serde_json::to_string(&Number::ratio(-5, 100, 2)).unwrap(), "-0.05");
        assert_eq!(serde_json::to_value(Number::count(7)).unwrap(), 7);
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        assert!(Number::ratio(25, 10, 1) < Number::ratio(251, 100, 2));
        assert!(Number::whole(-3) < Number::whole(2));
    }
}
