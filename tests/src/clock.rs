//! Instants and days as the wire spells them, in UTC.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// Today's UTC date.
#[must_use]
pub fn today() -> Date {
    day_of(Timestamp::now())
}

/// The UTC date `days` before today.
#[must_use]
pub fn days_ago(days: i64) -> Date {
    today().saturating_sub(Span::new().days(days))
}

/// The UTC date of an instant.
#[must_use]
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The instant this many seconds from now; before it when negative.
#[must_use]
pub fn seconds_from_now(seconds: i64) -> Timestamp {
    Timestamp::now().saturating_add(SignedDuration::from_secs(seconds)).expect("it is not the end of time")
}

/// The month key of a date: `2025-12`.
#[must_use]
pub fn month_key(date: Date) -> String {
    date.strftime("%Y-%m").to_string()
}

/// The ISO week key of a date: `2025-W50`.
#[must_use]
pub fn week_key(date: Date) -> String {
    let week = date.iso_week_date();
    format!("{:04}-W{:02}", week.year(), week.week())
}

/// Waits until today will go on being today for a minute. A test that counts what happens
/// "today" starts with this, or fails once a year at midnight.
pub async fn away_from_midnight() {
    while day_of(seconds_from_now(60)) != today() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
