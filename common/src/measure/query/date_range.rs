//! Ranges of dates, of date-times, and by name.

use serde_json::Value;

use super::Context;
use super::input::{Result, suggest};
use crate::event::MAX_CLOCK_SKEW;
use crate::measure::question::Range;
use crate::measure::zone::Zone;
use crate::outcome::{Code, Refusal};
use crate::time::{DAY, Day, HOUR, SECOND, Timestamp};

/// What a range may be, for errors.
const NAMES: [&str; 11] = ["day", "24h", "7d", "28d", "30d", "91d", "month", "6mo", "12mo", "year", "all"];
const MOST_DAYS: i32 = 3_660;
const MOST_MONTHS: i32 = 120;

/// A range, and the local days that it consists of, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::measure) struct Span {
    /// The instants.
    pub(in crate::measure) range: Range,
    /// The first day, and the first one that is not part of it.
    pub(in crate::measure) days: Option<(Day, Day)>,
}

impl Span {
    /// The days from `first` up to, and without, `end`.
    pub(in crate::measure) fn of_days(first: Day, end: Day, zone: &Zone) -> Self {
        let start = zone.start_of_day(first);
        let range = Range { start, end: zone.start_of_day(end).max(start) };
        Self { range, days: Some((first, end)) }
    }

    /// The instants from `start` up to, and without, `end`.
    pub(in crate::measure) fn of_instants(start: Timestamp, end: Timestamp) -> Self {
        Self { range: Range { start, end: end.max(start) }, days: None }
    }

    /// Reads `date_range`.
    pub(in crate::measure) fn parse(value: &Value, place: &str, zone: &Zone, context: &Context<'_>) -> Result<Self> {
        match value {
            Value::String(name) => Self::named(name, zone, context)
                .ok_or_else(|| refused(place, &suggest(name, NAMES.into_iter().chain(["realtime", "30m"])))),
            Value::Array(ends) => match ends.as_slice() {
                [Value::String(from), Value::String(to)] => Self::between(from, to, place, zone),
                _ => Err(refused(place, "")),
            },
            _ => Err(refused(place, "")),
        }
    }

    fn named(name: &str, zone: &Zone, context: &Context<'_>) -> Option<Self> {
        let now = context.now;
        let today = zone.day(now);
        let first_of_month = today.plus(1 - i32::from(today.date().day()));
        let days = |first, end| Some(Self::of_days(first, end, zone));
        let last = |millis: i64| Some(Self::of_instants(now.plus(-millis), now));
        match name {
            "day" => days(today, today.plus(1)),
            "24h" => last(24 * HOUR),
            "30m" => last(30 * 60 * SECOND),
            // As current_visitors does: events from clocks that run ahead are current.
            "realtime" => {
                let window = i64::from(context.active_window_seconds) * SECOND;
                Some(Self::of_instants(now.plus(1 - window), now.plus(MAX_CLOCK_SKEW + 1)))
            }
            "month" => days(first_of_month, months_later(first_of_month, 1)),
            "year" => {
                let january = months_later(first_of_month, 1 - i32::from(today.date().month()));
                days(january, months_later(january, 12))
            }
            "all" => {
                let first = context.first_day.map_or(today, |day| zone.day(day.start()));
                days(first.min(today), today.plus(1))
            }
            _ => {
                let counted = |suffix: &str, most| {
                    let digits = name.strip_suffix(suffix)?;
                    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
                    digits.parse().ok().filter(|count| plain && (1..=most).contains(count))
                };
                if let Some(count) = counted("mo", MOST_MONTHS) {
                    return days(months_later(first_of_month, -count), first_of_month);
                }
                counted("d", MOST_DAYS).and_then(|count| days(today.plus(-count), today))
            }
        }
    }

    fn between(from: &str, to: &str, place: &str, zone: &Zone) -> Result<Self> {
        if let (Some(first), Some(last)) = (Day::parse(from), Day::parse(to)) {
            if last < first {
                return Err(reversed(place));
            }
            return Ok(Self::of_days(first, last.plus(1), zone));
        }
        let (Some(start), Some(last)) = (Timestamp::parse(from), Timestamp::parse(to)) else {
            return Err(refused(place, ""));
        };
        if last < start {
            return Err(reversed(place));
        }
        // The end is included as precisely as it is written: a second, or a millisecond.
        let unit = if last.millis() % SECOND == 0 { SECOND } else { 1 };
        Ok(Self::of_instants(start, last.plus(unit)))
    }
}

/// The first day of the month that is `months` after that of `first`, itself the first of a month.
pub(super) fn months_later(first: Day, months: i32) -> Day {
    Day::from_date(first.date().saturating_add(jiff::Span::new().months(months)))
}

/// The same date one year earlier; 28 February for the 29th.
pub(super) fn year_earlier(day: Day) -> Day {
    Day::from_date(day.date().saturating_sub(jiff::Span::new().years(1)))
}

/// Local time of day, in milliseconds since the start of `day` by the local clock.
pub(super) fn clock_time(instant: Timestamp, day: Day, zone: &Zone) -> i64 {
    zone.local(instant) - i64::from(day.number()) * DAY
}

fn refused(place: &str, hint: &str) -> Refusal {
    let rule = "must be a name, such as 7d (1 to 3660 days) or 6mo (1 to 120 months), or [from, to], both dates \
                (YYYY-MM-DD) or both date-times with an offset (2026-11-10T10:00:00+01:00)";
    Refusal::new(Code::InvalidDate, format!("{place} {rule}{hint}"))
}

fn reversed(place: &str) -> Refusal {
    Refusal::new(Code::InvalidDate, format!("{place} ends before it starts"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn span(range: Value, zone: &str, now: &str) -> Result<[String; 2]> {
        let zone = Zone::parse(zone).unwrap();
        let mut context = Context::at(Timestamp::parse(now).unwrap());
        context.first_day = Day::parse("2026-09-05");
        let range = Span::parse(&range, "date_range", &zone, &context)?.range;
        Ok([range.start.to_string(), range.end.to_string()])
    }

    #[track_caller]
    fn check(range: Value, zone: &str, start: &str, end: &str) {
        assert_eq!(
            span(range, zone, "2026-11-28T12:00:00Z").unwrap(),
            [format!("{start}.000Z"), format!("{end}.000Z")]
        );
    }

    #[test]
    fn ranges_by_name() {
        for (name, start, end) in [
            ("day", "2026-11-28T00:00:00", "2026-11-29T00:00:00"),
            ("24h", "2026-11-27T12:00:00", "2026-11-28T12:00:00"),
            ("30m", "2026-11-28T11:30:00", "2026-11-28T12:00:00"),
            ("7d", "2026-11-21T00:00:00", "2026-11-28T00:00:00"),
            ("1d", "2026-11-27T00:00:00", "2026-11-28T00:00:00"),
            ("91d", "2026-08-29T00:00:00", "2026-11-28T00:00:00"),
            ("month", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
            ("6mo", "2026-05-01T00:00:00", "2026-11-01T00:00:00"),
            ("12mo", "2025-11-01T00:00:00", "2026-11-01T00:00:00"),
            ("year", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
            ("all", "2026-09-05T00:00:00", "2026-11-29T00:00:00"),
        ] {
            check(json!(name), "UTC", start, end);
        }
        check(json!("day"), "Asia/Tokyo", "2026-11-27T15:00:00", "2026-11-28T15:00:00");
        check(json!("month"), "Europe/Paris", "2026-10-31T23:00:00", "2026-11-30T23:00:00");
        // All data is covered also where its first day starts earlier by the local calendar.
        check(json!("all"), "America/Los_Angeles", "2026-09-04T07:00:00", "2026-11-29T08:00:00");
        let realtime = span(json!("realtime"), "UTC", "2026-11-28T12:00:00Z").unwrap();
        assert_eq!(realtime, ["2026-11-28T11:55:00.001Z", "2026-11-28T12:05:00.001Z"]);
    }

    #[test]
    fn ranges_by_dates_and_instants() {
        check(json!(["2026-10-25", "2026-10-25"]), "Europe/Paris", "2026-10-24T22:00:00", "2026-10-25T23:00:00");
        check(
            json!(["2026-11-10T11:00:00+01:00", "2026-11-10T10:59:59Z"]),
            "Asia/Tokyo",
            "2026-11-10T10:00:00",
            "2026-11-10T11:00:00",
        );
        let precise = json!(["2026-11-10T10:00:00.5Z", "2026-11-10T10:59:59.999Z"]);
        check_millis(precise, "2026-11-10T10:00:00.500Z", "2026-11-10T11:00:00.000Z");
        check(json!(["2011-12-30", "2011-12-30"]), "Pacific/Apia", "2011-12-30T10:00:00", "2011-12-30T10:00:00");
        // As far as the calendar goes.
        span(json!(["1970-01-01", "9999-12-31"]), "Pacific/Kiritimati", "2026-11-28T12:00:00Z").unwrap();
        span(json!(["1970-01-01", "9999-12-31"]), "Pacific/Pago_Pago", "2026-11-28T12:00:00Z").unwrap();
    }

    #[track_caller]
    fn check_millis(range: Value, start: &str, end: &str) {
        assert_eq!(span(range, "UTC", "2026-11-28T12:00:00Z").unwrap(), [start, end]);
    }

    #[test]
    fn bad_ranges_say_what_is_allowed() {
        let error = |range| span(range, "UTC", "2026-11-28T12:00:00Z").unwrap_err();
        for bad in [
            json!("0d"),
            json!("07d"),
            json!("3661d"),
            json!("121mo"),
            json!("-7d"),
            json!("+7d"),
            json!("d"),
            json!("mo"),
            json!(""),
            json!("today"),
            json!(7),
            json!(null),
            json!([]),
            json!(["2026-11-10"]),
            json!([1, 2]),
            json!(["2026-11-10", "2026-11-10T10:00:00Z"]),
            json!(["2026-11-10T10:00:00", "2026-11-10T11:00:00"]),
            json!(["2026-02-29", "2026-03-01"]),
            json!(["2026-11-10", "2026-11-10", "2026-11-10"]),
            json!({}),
        ] {
            let refusal = error(bad.clone());
            assert_eq!(refusal.code, Code::InvalidDate, "{bad}");
            assert!(refusal.message.starts_with("date_range must be a name, such as 7d"), "{bad}");
        }
        assert!(error(json!("mnth")).message.contains("; did you mean month? allowed: day, 24h,"));
        for bad in [json!(["2026-11-10", "2026-11-09"]), json!(["2026-11-10T10:00:00Z", "2026-11-10T09:59:59Z"])] {
            assert_eq!(error(bad).message, "date_range ends before it starts");
        }
    }
}
