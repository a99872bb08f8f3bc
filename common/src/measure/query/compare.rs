//! Comparison with another range.

use serde_json::Value;

use super::date_range::{Span, clock_time, year_earlier};
use super::input::{Result, flag, object, suggest};
use super::{Context, refused};
use crate::measure::question::buckets::weekday;
use crate::measure::question::{Metric, Number, Range};
use crate::measure::zone::Zone;
use crate::time::{DAY, Day};

const MODES: [&str; 2] = ["previous_period", "year_over_year"];

/// What to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::measure) struct Compare {
    pub(in crate::measure) mode: Mode,
    /// Whether the comparison moves to the nearest days that start on the same weekday.
    pub(in crate::measure) match_day_of_week: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::measure) enum Mode {
    PreviousPeriod,
    YearOverYear,
    Span(Span),
}

impl Compare {
    /// Reads `compare`.
    pub(in crate::measure) fn parse(value: &Value, zone: &Zone, context: &Context<'_>) -> Result<Self> {
        let (mode, match_day_of_week) = match value {
            Value::Object(_) => {
                let map = object(value, "compare", &["mode", "match_day_of_week"])?;
                let mode = map.get("mode").ok_or_else(|| refused("compare must have the key mode"))?;
                (mode, flag(map.get("match_day_of_week"), "compare.match_day_of_week")?)
            }
            mode => (mode, false),
        };
        let mode = match mode {
            Value::String(name) if name == MODES[0] => Mode::PreviousPeriod,
            Value::String(name) if name == MODES[1] => Mode::YearOverYear,
            Value::String(name) => {
                let rule = "compare must be previous_period, year_over_year or [from, to]";
                return Err(refused(format!("{rule}{}", suggest(name, MODES))));
            }
            range => Mode::Span(Span::parse(range, "compare", zone, context)?),
        };
        Ok(Self { mode, match_day_of_week })
    }

    /// The range to ask about, and the one to compare it with. A range that reaches into the future is
    /// cut at now, unless it is compared with a range of the client's choice.
    pub(in crate::measure) fn ranges(self, span: Span, zone: &Zone, context: &Context<'_>) -> (Range, Range) {
        let Range { start, end } = span.range;
        let chosen = matches!(self.mode, Mode::Span(_));
        let cut = !chosen && start <= context.now && context.now < end;
        let main = Range { start, end: if cut { context.now } else { end } };
        let first = span.days.map_or_else(|| zone.day(start), |(first, _)| first);

        // Whole days: moved by days, whatever their length.
        if let (Some((_, end_day)), false) = (span.days, chosen) {
            let last = if cut { zone.day(context.now) } else { end_day };
            let days = last.number() - first.number() + i32::from(cut);
            let moved = self.moved(first, first.plus(-days));
            let same_place = |day: Day| moved.plus(day.number() - first.number());
            let comparison = if cut {
                let clock = clock_time(context.now, last, zone);
                Range {
                    start: zone.start_of_day(moved),
                    end: zone.instant(i64::from(same_place(last).number()) * DAY + clock),
                }
            } else {
                Span::of_days(moved, same_place(end_day), zone).range
            };
            return (main, comparison);
        }
        // Instants: moved by milliseconds, and by local days where the calendar counts.
        let comparison = match self.mode {
            Mode::PreviousPeriod => Range { start: start.plus(-main.millis()), end: start },
            Mode::YearOverYear => {
                let local =
                    zone.local(start) + (i64::from(year_earlier(first).number()) - i64::from(first.number())) * DAY;
                let start = zone.instant(local);
                Range { start, end: start.plus(main.millis()) }
            }
            Mode::Span(other) => other.range,
        };
        let there = zone.day(comparison.start);
        let days = i64::from(self.nearest(first, there).number()) - i64::from(there.number());
        let range = Span::of_instants(comparison.start.plus(days * DAY), comparison.end.plus(days * DAY)).range;
        (main, range)
    }

    /// The first day of the comparison of whole days.
    fn moved(self, first: Day, before: Day) -> Day {
        match self.mode {
            Mode::PreviousPeriod => self.nearest(first, before),
            Mode::YearOverYear | Mode::Span(_) => self.nearest(first, year_earlier(first)),
        }
    }

    /// The day next to `there` that has the weekday of `first`, but for `first` itself.
    fn nearest(self, first: Day, there: Day) -> Day {
        if !self.match_day_of_week {
            return there;
        }
        let ahead = (weekday(first) - weekday(there)).rem_euclid(7);
        let (later, earlier) = (there.plus(ahead), there.plus(if ahead == 0 { 0 } else { ahead - 7 }));
        if ahead <= 3 && later != first { later } else { earlier }
    }
}

/// How a metric changed: whole percent of its earlier value, 100 from 0; points for the bounce rate; `None`
/// if either value is null.
#[must_use]
pub fn change(metric: Metric, before: Option<Number>, after: Option<Number>) -> Option<Number> {
    let (before, after) = (before?, after?);
    let difference = i128::from(after.scaled()) - i128::from(before.scaled());
    if metric == Metric::BounceRate {
        return Number::ratio(difference, 1, 0);
    }
    match before.scaled().unsigned_abs() {
        0 => Some(Number::whole(if after.scaled() == 0 { 0 } else { 100 })),
        base => Number::ratio(difference * 100, base, 0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::time::Timestamp;

    #[track_caller]
    fn check(zone: &str, range: Value, compare: Value, main: [&str; 2], comparison: [&str; 2]) {
        let zone = Zone::parse(zone).unwrap();
        let context = Context::at(Timestamp::parse("2026-11-28T12:00:00Z").unwrap());
        let span = Span::parse(&range, "date_range", &zone, &context).unwrap();
        let (a, b) = Compare::parse(&compare, &zone, &context).unwrap().ranges(span, &zone, &context);
        let written = |range: Range| [range.start, range.end].map(|end| end.to_string().replace(":00.000Z", ""));
        assert_eq!((written(a), written(b)), (main.map(Into::into), comparison.map(Into::into)));
    }

    #[test]
    fn a_range_that_reaches_into_the_future_is_cut_at_now() {
        check(
            "UTC",
            json!("day"),
            json!("previous_period"),
            ["2026-11-28T00:00", "2026-11-28T12:00"],
            ["2026-11-27T00:00", "2026-11-27T12:00"],
        );
        check(
            "UTC",
            json!("month"),
            json!("previous_period"),
            ["2026-11-01T00:00", "2026-11-28T12:00"],
            ["2026-10-04T00:00", "2026-10-31T12:00"],
        );
        check(
            "UTC",
            json!("year"),
            json!("year_over_year"),
            ["2026-01-01T00:00", "2026-11-28T12:00"],
            ["2025-01-01T00:00", "2025-11-28T12:00"],
        );
    }

    #[test]
    fn the_previous_period_has_as_many_days() {
        check(
            "UTC",
            json!("7d"),
            json!("previous_period"),
            ["2026-11-21T00:00", "2026-11-28T00:00"],
            ["2026-11-14T00:00", "2026-11-21T00:00"],
        );
        // One of the days has 25 hours.
        check(
            "Europe/Paris",
            json!(["2026-10-26", "2026-10-27"]),
            json!("previous_period"),
            ["2026-10-25T23:00", "2026-10-27T23:00"],
            ["2026-10-23T22:00", "2026-10-25T23:00"],
        );
        check(
            "UTC",
            json!("24h"),
            json!("previous_period"),
            ["2026-11-27T12:00", "2026-11-28T12:00"],
            ["2026-11-26T12:00", "2026-11-27T12:00"],
        );
    }

    #[test]
    fn a_year_earlier_starts_on_the_same_date() {
        check(
            "UTC",
            json!(["2028-02-01", "2028-02-29"]),
            json!("year_over_year"),
            ["2028-02-01T00:00", "2028-03-01T00:00"],
            ["2027-02-01T00:00", "2027-03-02T00:00"],
        );
        check(
            "UTC",
            json!(["2028-02-29", "2028-02-29"]),
            json!("year_over_year"),
            ["2028-02-29T00:00", "2028-03-01T00:00"],
            ["2027-02-28T00:00", "2027-03-01T00:00"],
        );
    }

    #[test]
    fn days_move_to_the_nearest_same_weekday() {
        let matching = |mode: &str| json!({"mode": mode, "match_day_of_week": true});
        // Saturday 28 November; the nearest Saturday to yesterday that is not today.
        check(
            "UTC",
            json!("day"),
            matching("previous_period"),
            ["2026-11-28T00:00", "2026-11-28T12:00"],
            ["2026-11-21T00:00", "2026-11-21T12:00"],
        );
        // Tuesday 10 November; 10 November 2025 was a Monday.
        check(
            "UTC",
            json!(["2026-11-10", "2026-11-12"]),
            matching("year_over_year"),
            ["2026-11-10T00:00", "2026-11-13T00:00"],
            ["2025-11-11T00:00", "2025-11-14T00:00"],
        );
        check(
            "UTC",
            json!("7d"),
            matching("previous_period"),
            ["2026-11-21T00:00", "2026-11-28T00:00"],
            ["2026-11-14T00:00", "2026-11-21T00:00"],
        );
    }

    #[test]
    fn a_range_of_choice_is_taken_as_it_is() {
        check(
            "UTC",
            json!("day"),
            json!(["2026-11-01", "2026-11-02"]),
            ["2026-11-28T00:00", "2026-11-29T00:00"],
            ["2026-11-01T00:00", "2026-11-03T00:00"],
        );
    }

    #[test]
    fn changes_are_whole_percent() {
        let number = |value: i64| Some(Number::whole(value));
        for (metric, before, after, expected) in [
            (Metric::Visitors, number(50), number(75), number(50)),
            (Metric::Visitors, number(3), number(1), number(-67)),
            (Metric::Visitors, number(0), number(4), number(100)),
            (Metric::Visitors, number(0), number(0), number(0)),
            (Metric::BounceRate, number(40), number(55), number(15)),
            (Metric::ScrollDepth, None, number(80), None),
            (Metric::Visitors, number(8), number(9), number(13)),
            (Metric::Visitors, number(8), number(7), number(-13)),
            (Metric::ViewsPerVisit, Number::ratio(5, 2, 2), Number::ratio(5, 1, 2), number(100)),
        ] {
            assert_eq!(change(metric, before, after), expected);
        }
    }
}
