//! Which periods of a site have keys: a sorted set beside its watermark, by when they expire, in seconds of
//! Redis's clock.
//!
//! Keys of a period without events do not exist, and neither do evicted ones. The list tells them apart:
//! it does not expire, so a server that evicts keys with an expiry first keeps it. Where it is lost, all
//! of the site's keys count as lost.

use std::collections::HashMap;

use redis::{Pipeline, Value};

use super::link::REBUILD_TIMEOUT;
use super::watermark::Watermark;
use super::{Shared, keys};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::Result;
use crate::time::Day;

/// The member that every list has, for good.
pub(super) const ALWAYS: &str = "-";
/// How many sites are asked for at a time.
const SITES: usize = 100;

/// What the list names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    /// The counters and the sketch of a period.
    Period(PeriodKey),
    /// The themes of a day.
    Themes(Day),
}

impl Listed {
    /// As it stands in the list: [`PeriodKey::bucket`], of which no kind has the last number of four.
    pub(super) fn member(self) -> i64 {
        match self {
            Self::Period(key) => key.bucket(),
            Self::Themes(day) => PeriodKey::of(Period::Day, day).bucket() + 3,
        }
    }

    fn read(member: i64) -> Option<Self> {
        match PeriodKey::from_bucket(member) {
            Some(key) => Some(Self::Period(key)),
            None => Some(Self::Themes(PeriodKey::from_bucket(member - 3)?.first_day())),
        }
    }

    fn keys(self, site: &Site) -> Vec<String> {
        match self {
            Self::Period(key) => keys::of_period(site, key).into(),
            Self::Themes(day) => vec![keys::themes(site, day)],
        }
    }
}

impl Shared {
    /// What time it is by Redis's clock, in seconds.
    pub(super) async fn redis_time(&self) -> Result<u64> {
        let time = self.link.ask_one("look", redis::cmd("TIME")).await?;
        Ok(redis::from_redis_value::<(u64, u64)>(time).map_or(0, |(seconds, _)| seconds))
    }

    /// Sites with a watermark of which keys are missing that their list has.
    pub(super) async fn sites_with_lost_periods(
        &self,
        watermarks: &HashMap<Site, Option<Watermark>>,
    ) -> Result<Vec<Site>> {
        let now = self.redis_time().await?;
        let sites: Vec<&Site> = watermarks.iter().filter_map(|(site, mark)| mark.map(|_| site)).collect();
        let mut lost = Vec::new();
        for sites in sites.chunks(SITES) {
            let mut list = Pipeline::with_capacity(sites.len());
            for site in sites {
                list.cmd("ZRANGEBYSCORE").arg(keys::periods(site)).arg(format!("({now}")).arg("+inf");
            }
            let lists = self.link.ask_within(REBUILD_TIMEOUT, "look", &list).await?;
            let mut there = Pipeline::with_capacity(sites.len());
            let mut expected = Vec::with_capacity(sites.len());
            for (site, list) in sites.iter().zip(lists) {
                let members: Vec<String> = redis::from_redis_value(list).unwrap_or_default();
                let listed = members.iter().filter_map(|member| Listed::read(member.parse().ok()?));
                let mut names = vec![keys::periods(site)];
                names.extend(listed.flat_map(|listed| listed.keys(site)));
                there.cmd("EXISTS").arg(&names);
                expected.push(members.iter().any(|member| member == ALWAYS).then(|| Value::Int(names.len() as i64)));
            }
            let there = self.link.ask_within(REBUILD_TIMEOUT, "look", &there).await?;
            for ((site, there), expected) in sites.iter().zip(there).zip(expected) {
                if expected != Some(there) {
                    lost.push((*site).clone());
                }
            }
        }
        Ok(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_back() {
        for number in [0, 1, 19_999, 20_000, 20_430] {
            let day = Day::from_number(number);
            let periods = Period::ALL.map(|period| Listed::Period(PeriodKey::of(period, day)));
            for listed in periods.into_iter().chain([Listed::Themes(day)]) {
                assert_eq!(Listed::read(listed.member()), Some(listed));
            }
        }
    }
}
