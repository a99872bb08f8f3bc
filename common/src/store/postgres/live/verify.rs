//! Redis compared with PostgreSQL, site by site, both as of one position.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use redis::{Pipeline, Value};

use super::changes::Changes;
use super::link::LONG_PATIENCE;
use super::rebuild::{PeriodCounts, by_period};
use super::sites::Mark;
use super::{Away, Parts, keys};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Committed, Difference, Position, Recount, Result};
use crate::time::{Day, Timestamp};
use crate::visitor::VisitorId;

/// How often a site is looked at anew that was rebuilt or repaired meanwhile.
const ATTEMPTS: usize = 50;
/// How long lies between two looks.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(100);
/// How far the count of distinct visitors may be off: the error of the sketch, four times,
/// and of the smallest counts a few.
const ERROR: f64 = 4.0 * 0.0081;
const FEW: u64 = 3;

/// What Redis has of a period: the counters, how many visitors, which themes how often if it
/// says anything about them.
type Found = (Vec<Option<i64>>, u64, Option<Vec<(String, u64)>>);

/// The themes of all days since one.
type Top = (Day, Vec<(String, u64)>);

/// What PostgreSQL says that Redis should have.
#[derive(Default)]
struct Expected {
    counts: BTreeMap<PeriodKey, PeriodCounts>,
    /// Of periods whose events are all there.
    visitors: BTreeMap<PeriodKey, HashSet<VisitorId>>,
}

impl Parts {
    pub(super) async fn verify(&self, now: Timestamp, recount: &mut Recount) -> Result<()> {
        for (site, _) in self.truth.positions().await? {
            for attempt in 1.. {
                match self.compare(&site, now).await {
                    Ok((compared, differences)) => {
                        recount.aggregates += compared;
                        recount.different += differences.len() as u64;
                        let room = Recount::MOST_LISTED.saturating_sub(recount.differences.len());
                        recount.differences.extend(differences.into_iter().take(room));
                        break;
                    }
                    Err(error) if attempt >= ATTEMPTS => return Err(error),
                    Err(_) => tokio::time::sleep(AGAIN).await,
                }
            }
        }
        Ok(())
    }

    /// How many aggregates were compared, and which differ.
    async fn compare(&self, site: &Site, now: Timestamp) -> Result<(u64, Vec<Difference>)> {
        let horizon = self.truth.horizon();
        let mut snapshot = self.truth.snapshot(site, now).await?;
        let mut expected = Expected { counts: by_period(&snapshot), ..Expected::default() };
        while let Some((day, visitors)) = snapshot.next_visitors().await? {
            for key in
                Period::ALL.map(|period| PeriodKey::of(period, day)).into_iter().filter(|key| horizon.covers(*key))
            {
                expected.visitors.entry(key).or_default().extend(&visitors);
            }
        }
        let periods: Vec<PeriodKey> = keys::kept_periods(now).filter(|key| horizon.answers(*key)).collect();
        let (at, found, top) = self.found(site, &periods).await?;
        if at < snapshot.position {
            // It will be there in a moment.
            return Err(Away.into());
        }
        // What was committed since the snapshot is in Redis already.
        let since = self.truth.committed_after(site, Position(snapshot.position), (at - snapshot.position) as usize);
        let since: Vec<Committed> = since.await?.into_iter().filter(|event| event.position.0 <= at).collect();
        expected.add(&Changes::of(&since, now), |key| horizon.covers(key));
        let (mut compared, mut differences) = expected.compare(site, &periods, found);
        if let Some((since, themes)) = top {
            let (more, different) = expected.compare_top(site, since, themes);
            compared += more;
            differences.extend(different);
        }
        Ok((compared, differences))
    }

    /// What Redis has of these periods, in one step.
    async fn found(&self, site: &Site, periods: &[PeriodKey]) -> Result<(u64, Vec<Found>, Option<Top>)> {
        let [top, since] = keys::themes_top(site);
        let mut pipeline = Pipeline::new();
        pipeline.cmd("MULTI").cmd("GET").arg(keys::applied(site)).cmd("GET").arg(since);
        pipeline.cmd("ZSCORE").arg(&top).arg("");
        pipeline.cmd("ZRANGEBYSCORE").arg(&top).arg("(0").arg("+inf").arg("WITHSCORES");
        for key in periods {
            let [counters @ .., sketch, themes] = keys::of_period(site, *key);
            pipeline.cmd("MGET").arg(&counters[..]);
            pipeline.cmd("PFCOUNT").arg(sketch);
            pipeline.cmd("ZSCORE").arg(&themes).arg("");
            pipeline.cmd("ZRANGEBYSCORE").arg(&themes).arg("(0").arg("+inf").arg("WITHSCORES");
        }
        pipeline.cmd("EXEC");
        let mut answers = self.link.ask_within(LONG_PATIENCE, "verify", &pipeline).await?;
        let Some(Value::Array(answers)) = answers.pop() else { return Err(Away.into()) };
        let [Value::BulkString(mark), since, whole, top, answers @ ..] = answers.as_slice() else {
            return Err(Away.into());
        };
        let since: Option<i32> = redis::from_redis_value(since.clone()).unwrap_or_default();
        let top = since.filter(|_| *whole != Value::Nil).map(|since| (Day::from_number(since), ranked(top)));
        let Mark::At(at) = Mark::parse(Some(mark), &self.store) else { return Err(Away.into()) };
        let found = answers.chunks(4).map(|answers| {
            let [counters, visitors, whole, themes] = answers else { return None };
            let counters: Vec<Option<i64>> = redis::from_redis_value(counters.clone()).ok()?;
            let themes = (*whole != Value::Nil).then(|| ranked(themes));
            Some((counters, redis::from_redis_value(visitors.clone()).ok()?, themes))
        });
        Ok((at, found.collect::<Option<_>>().ok_or(Away)?, top))
    }
}

impl Expected {
    fn add(&mut self, changes: &Changes, covers: impl Fn(PeriodKey) -> bool) {
        for (day, change) in changes.days() {
            for key in Period::ALL.map(|period| PeriodKey::of(period, *day)) {
                let counts = self.counts.entry(key).or_default();
                counts.counters.iter_mut().zip(change.counters).for_each(|(counter, n)| *counter += n);
                for (theme, n) in &change.themes {
                    *counts.themes.entry(theme.clone()).or_default() += n;
                }
                if covers(key) {
                    self.visitors.entry(key).or_default().extend(&change.visitors);
                }
            }
        }
    }

    fn compare_top(&self, site: &Site, since: Day, found: Vec<(String, u64)>) -> (u64, Vec<Difference>) {
        let mut expected = BTreeMap::<&str, u64>::new();
        let days = self.counts.iter().filter(|(key, _)| key.period() == Period::Day && key.first_day() >= since);
        for (theme, n) in days.flat_map(|(_, counts)| &counts.themes) {
            *expected.entry(theme).or_default() += n;
        }
        let mut found: BTreeMap<&str, u64> = found.iter().map(|(theme, n)| (theme.as_str(), *n)).collect();
        let themes: BTreeSet<&str> = expected.keys().chain(found.keys()).copied().collect();
        let compared = themes.len() as u64;
        let differences = themes.into_iter().filter_map(|theme| {
            let (expected, found) = (expected.remove(theme).unwrap_or(0), found.remove(theme).unwrap_or(0));
            let aggregate = format!("redis, site {site}, since {since}, theme {theme:?}");
            let difference = Difference { aggregate, expected: signed(expected), found: signed(found) };
            (expected != found).then_some(difference)
        });
        (compared, differences.collect())
    }

    fn compare(&self, site: &Site, periods: &[PeriodKey], found: Vec<Found>) -> (u64, Vec<Difference>) {
        let none = PeriodCounts::default();
        let mut compared = 0;
        let mut differences = Vec::new();
        for (key, (counters, visitors, themes)) in periods.iter().zip(found) {
            // A period without its keys is answered by PostgreSQL.
            let Some(counters) = counters.into_iter().collect::<Option<Vec<i64>>>() else { continue };
            let counts = self.counts.get(key).unwrap_or(&none);
            let mut check = |what: &str, expected: i64, found: i64, right: bool| {
                compared += 1;
                if !right {
                    let aggregate = format!("redis, site {site}, {key}, {what}");
                    differences.push(Difference { aggregate, expected, found });
                }
            };
            let names = ["events", "page views", "letters", "letters motivation", "letters anti_motivation"];
            for ((name, expected), found) in names.iter().zip(counts.counters).zip(counters) {
                let expected = signed(expected);
                check(name, expected, found, expected == found);
            }
            // Without those, PostgreSQL answers too.
            let (themes, expected) = match &themes {
                Some(themes) => (themes.as_slice(), &counts.themes),
                None => (&[][..], &none.themes),
            };
            let mut rest: BTreeMap<&str, u64> = themes.iter().map(|(theme, n)| (theme.as_str(), *n)).collect();
            for (theme, expected) in expected {
                let found = rest.remove(theme.as_str()).unwrap_or(0);
                check(&format!("theme {theme:?}"), signed(*expected), signed(found), *expected == found);
            }
            for (theme, found) in rest {
                check(&format!("theme {theme:?}"), 0, signed(found), false);
            }
            if let Some(expected) = self.visitors.get(key).map(|visitors| visitors.len() as u64) {
                let close = expected.abs_diff(visitors) <= FEW.max((expected as f64 * ERROR) as u64);
                check("distinct visitors", signed(expected), signed(visitors), close);
            }
        }
        (compared, differences)
    }
}

/// Members and scores.
fn ranked(answer: &Value) -> Vec<(String, u64)> {
    let rows: Vec<(String, f64)> = redis::from_redis_value(answer.clone()).unwrap_or_default();
    rows.into_iter().map(|(name, n)| (name, n as u64)).collect()
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
