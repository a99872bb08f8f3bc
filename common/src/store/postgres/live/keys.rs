//! The names of keys: all of a site share its hash tag, so that a cluster keeps them together
//! and a script may touch them in one step.

use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::time::{DAY, Day, Timestamp};

/// What every instance listens to.
pub(super) const CHANNELS: &str = "analytics:{*}:realtime";
/// How long a day's keys live after the day, in milliseconds: 90 days.
const DAY_LIFE: i64 = 90 * DAY;
/// How long keys of weeks and months live after them: 365 days.
const LONG_LIFE: i64 = 365 * DAY;
/// How many keys a period has.
pub(super) const PER_PERIOD: usize = 6;

/// Up to where a site's events were applied: [`Watermark`](super::watermark::Watermark).
pub(super) fn watermark(site: &Site) -> String {
    format!("analytics:{{{site}}}:watermark")
}

/// Which periods have keys: [`Listed`](super::periods::Listed).
pub(super) fn periods(site: &Site) -> String {
    format!("analytics:{{{site}}}:periods")
}

/// Which process is rebuilding a site.
pub(super) fn rebuilding(site: &Site) -> String {
    format!("analytics:{{{site}}}:rebuilding")
}

/// Visitors by when they were last seen, in milliseconds.
pub(super) fn visitors(site: &Site) -> String {
    format!("analytics:{{{site}}}:realtime:visitors")
}

/// Where a site's events are published.
pub(super) fn channel(site: &Site) -> String {
    format!("analytics:{{{site}}}:realtime")
}

/// The site of a channel.
pub(super) fn site_of_channel(channel: &str) -> Option<Site> {
    Site::parse(channel.strip_prefix("analytics:{")?.strip_suffix("}:realtime")?)
}

/// How often themes were viewed on a day.
pub(super) fn themes(site: &Site, day: Day) -> String {
    format!("analytics:{{{site}}}:themes:day:{day}")
}

/// How often themes were viewed on all days that are kept.
pub(super) fn themes_top(site: &Site) -> String {
    format!("analytics:{{{site}}}:themes:top")
}

/// Keys of release 0.1.0 that would stay for good.
pub(super) fn outdated(site: &Site) -> [String; 2] {
    ["applied", "themes:since"].map(|name| format!("analytics:{{{site}}}:{name}"))
}

/// A period's keys: five counters (events, page views, letters, of these motivation and
/// anti-motivation), and the sketch of its visitors. They come and go together.
pub(super) fn of_period(site: &Site, key: PeriodKey) -> [String; PER_PERIOD] {
    let period = key.period().name();
    let stats = format!("analytics:{{{site}}}:stats:{period}:{key}");
    [
        format!("{stats}:total_events"),
        format!("{stats}:page_views"),
        format!("{stats}:letters_generated"),
        format!("{stats}:letters_motivation"),
        format!("{stats}:letters_anti_motivation"),
        sketch(site, key),
    ]
}

/// The sketch of a period's distinct visitors.
pub(super) fn sketch(site: &Site, key: PeriodKey) -> String {
    format!("analytics:{{{site}}}:visitors:unique:{}:{key}", key.period().name())
}

/// The store whose figures are in this Redis.
pub(super) const OWNER: &str = "analytics:owner";

/// A token bucket. All of a name share a hash tag, so that one call can charge many.
pub(super) fn bucket(name: &str, key: u128) -> String {
    format!("analytics:limit:{{{name}}}:{key:032x}")
}

/// For how many more seconds a period is kept; 0 when it is not.
pub(super) fn seconds_left(key: PeriodKey, now: Timestamp) -> u64 {
    let life = if key.period() == Period::Day { DAY_LIFE } else { LONG_LIFE };
    let end = i64::from(key.last_day().number() + 1) * DAY;
    u64::try_from((end + life - now.millis()) / 1_000).unwrap_or(0)
}

/// All periods that may have keys at `now`, those of events a little ahead of it included.
pub(super) fn kept_periods(now: Timestamp) -> impl Iterator<Item = PeriodKey> {
    let first = now.day().plus(-((LONG_LIFE / DAY) as i32 + 31)).number();
    let last = now.day().number() + 1;
    let days = (first..=last).map(Day::from_number);
    let keys = days.flat_map(|day| Period::ALL.map(|period| PeriodKey::of(period, day)));
    let first_days = keys.filter(move |key| key.period() == Period::Day || key.first_day().number() >= first - 31);
    let mut seen = std::collections::HashSet::new();
    first_days.filter(move |key| seconds_left(*key, now) > 0 && seen.insert(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_contract() {
        let site = Site::parse("cv.example").unwrap();
        let key = PeriodKey::of(Period::Week, Day::parse("2025-12-08").unwrap());
        let keys = of_period(&site, key);
        assert_eq!(keys[0], "analytics:{cv.example}:stats:week:2025-W50:total_events");
        assert_eq!(keys[5], "analytics:{cv.example}:visitors:unique:week:2025-W50");
        assert_eq!(site_of_channel(&channel(&site)), Some(site));
        for other in ["analytics:{}:realtime", "analytics:{A}:realtime", "analytics:{a}:watermark", ""] {
            assert_eq!(site_of_channel(other), None, "{other}");
        }
    }

    #[test]
    fn days_live_for_90_days_after_their_end_and_longer_periods_for_365() {
        let day = Day::parse("2025-12-08").unwrap();
        let left = |period, after: i64| seconds_left(PeriodKey::of(period, day), day.plus(1).start().plus(after));
        assert_eq!(left(Period::Day, 0), 90 * 86_400);
        assert_eq!(left(Period::Day, 90 * DAY - 1), 0);
        assert_eq!(left(Period::Day, 400 * DAY), 0);
        // The week ends on the 14th, six days later.
        assert_eq!(left(Period::Week, 0), (365 + 6) * 86_400);
    }

    #[test]
    fn no_kept_period_is_passed_over() {
        let now = Timestamp::parse("2025-12-08T10:00:00Z").unwrap();
        let kept: std::collections::HashSet<_> = kept_periods(now).collect();
        for number in now.day().number() - 500..=now.day().number() + 1 {
            for period in Period::ALL {
                let key = PeriodKey::of(period, Day::from_number(number));
                assert_eq!(kept.contains(&key), seconds_left(key, now) > 0, "{key}");
            }
        }
    }
}
