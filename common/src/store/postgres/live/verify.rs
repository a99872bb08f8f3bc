//! Redis compared with PostgreSQL, site by site, both as of one position.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use redis::{Pipeline, Value};
use uuid::Uuid;

use super::changes::Changes;
use super::link::LONG_PATIENCE;
use super::rebuild::{PeriodCounts, by_period};
use super::sites::Mark;
use super::{Away, Parts, keys};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Committed, Difference, Position, Recount, Result};
use crate::time::{Day, HOUR, Timestamp};
use crate::visitor::VisitorId;

/// How often a site is looked at anew that was rebuilt or repaired meanwhile.
const ATTEMPTS: usize = 50;
/// How long lies between two looks.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(100);
/// What Redis has of a period: the counters, how many visitors, the themes if it says anything
/// about them.
type Found = (Vec<Option<i64>>, u64, Option<Themes>);

/// How often themes were viewed: all of them together, and each.
type Themes = (u64, Vec<(String, u64)>);

/// The themes of all days since one.
type Top = (Day, Themes);

/// What Redis has of a site, in one step.
struct FoundSite {
    /// Up to which position it was told.
    at: u64,
    periods: Vec<Found>,
    top: Option<Top>,
    /// Who was there in the last hour, and when last; `None` when it does not know.
    presence: Option<BTreeMap<VisitorId, i64>>,
}

/// What PostgreSQL says that Redis should have.
#[derive(Default)]
struct Expected {
    counts: BTreeMap<PeriodKey, PeriodCounts>,
    /// Of periods whose visitors are all there.
    visitors: BTreeMap<PeriodKey, HashSet<VisitorId>>,
    /// Who was there in the last hour, and when last.
    presence: BTreeMap<VisitorId, i64>,
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
        let mut snapshot = self.truth.snapshot(site, now).await?;
        let horizon = snapshot.horizon;
        let knows_visitors = |key: &PeriodKey| horizon.has_visitors(*key);
        let mut expected = Expected {
            counts: by_period(&snapshot),
            presence: snapshot.presence.iter().map(|(visitor, seen)| (*visitor, seen.millis())).collect(),
            ..Expected::default()
        };
        while let Some((day, visitors)) = snapshot.next_visitors().await? {
            for key in Period::ALL.map(|period| PeriodKey::of(period, day)).into_iter().filter(knows_visitors) {
                expected.visitors.entry(key).or_default().extend(&visitors);
            }
        }
        let periods: Vec<PeriodKey> = keys::kept_periods(now).filter(|key| horizon.answers(*key)).collect();
        let found = self.found(site, &periods, now).await?;
        if found.at < snapshot.position {
            // It will be there in a moment.
            return Err(Away.into());
        }
        // What was committed since the snapshot is in Redis already.
        let since = (found.at - snapshot.position) as usize;
        let since = self.truth.committed_after(site, Position(snapshot.position), since).await?;
        let since: Vec<Committed> = since.into_iter().filter(|event| event.position.0 <= found.at).collect();
        expected.add(&Changes::of(&since, now), knows_visitors);
        expected.add_presence(&since, now);
        let (mut compared, mut differences) = expected.compare(site, &periods, &found.periods);
        let (more, different) = self.compare_visitors(site, &expected, &periods, &found.periods).await?;
        compared += more;
        differences.extend(different);
        if let Some((since, themes)) = found.top {
            let (more, different) = expected.compare_top(site, since, themes);
            compared += more;
            differences.extend(different);
        }
        if let Some(presence) = found.presence {
            compared += 1;
            differences.extend(expected.compare_presence(site, &presence));
        }
        Ok((compared, differences))
    }

    /// Sketches against others of those who must be in them.
    async fn compare_visitors(
        &self,
        site: &Site,
        expected: &Expected,
        periods: &[PeriodKey],
        found: &[Found],
    ) -> Result<(u64, Vec<Difference>)> {
        let (mut compared, mut differences) = (0, Vec::new());
        for (key, (counters, found, _)) in periods.iter().zip(found) {
            // A period without its keys is answered by PostgreSQL.
            let Some(visitors) = expected.visitors.get(key).filter(|_| counters.iter().all(Option::is_some)) else {
                continue;
            };
            compared += 1;
            let right = self.estimate(site, visitors).await?;
            if right != *found {
                let aggregate = format!("redis, site {site}, {key}, distinct visitors");
                differences.push(Difference { aggregate, expected: signed(right), found: signed(*found) });
            }
        }
        Ok((compared, differences))
    }

    /// What Redis has of these periods, in one step.
    async fn found(&self, site: &Site, periods: &[PeriodKey], now: Timestamp) -> Result<FoundSite> {
        let [top, since] = keys::themes_top(site);
        let mut pipeline = Pipeline::new();
        pipeline.cmd("MULTI").cmd("GET").arg(keys::applied(site)).cmd("GET").arg(since);
        pipeline.cmd("ZSCORE").arg(&top).arg("");
        pipeline.cmd("ZRANGEBYSCORE").arg(&top).arg("(0").arg("+inf").arg("WITHSCORES");
        let after = format!("({}", now.plus(-HOUR).millis());
        pipeline.cmd("ZRANGEBYSCORE").arg(keys::visitors(site)).arg(after).arg("+inf").arg("WITHSCORES");
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
        let [Value::BulkString(mark), since, whole, top, presence, answers @ ..] = answers.as_slice() else {
            return Err(Away.into());
        };
        let since: Option<i32> = redis::from_redis_value(since.clone()).unwrap_or_default();
        let top = since.and_then(|since| Some((Day::from_number(since), ranked(whole, top)?)));
        let Mark::At(at) = Mark::parse(Some(mark), &self.store) else { return Err(Away.into()) };
        let found = answers.chunks(4).map(|answers| {
            let [counters, visitors, whole, themes] = answers else { return None };
            let counters: Vec<Option<i64>> = redis::from_redis_value(counters.clone()).ok()?;
            Some((counters, redis::from_redis_value(visitors.clone()).ok()?, ranked(whole, themes)))
        });
        let periods = found.collect::<Option<_>>().ok_or(Away)?;
        Ok(FoundSite { at, periods, top, presence: present(presence) })
    }
}

impl Expected {
    fn add(&mut self, changes: &Changes, knows_visitors: impl Fn(&PeriodKey) -> bool) {
        for (day, change) in changes.days() {
            for key in Period::ALL.map(|period| PeriodKey::of(period, *day)) {
                let counts = self.counts.entry(key).or_default();
                counts.counters.iter_mut().zip(change.counters).for_each(|(counter, n)| *counter += n);
                for (theme, n) in &change.themes {
                    *counts.themes.entry(theme.clone()).or_default() += n;
                }
                if knows_visitors(&key) {
                    self.visitors.entry(key).or_default().extend(&change.visitors);
                }
            }
        }
    }

    fn add_presence(&mut self, events: &[Committed], now: Timestamp) {
        for event in events.iter().map(|event| &event.event).filter(|event| event.created_at > now.plus(-HOUR)) {
            let seen = self.presence.entry(event.visitor).or_default();
            *seen = (*seen).max(event.created_at.millis());
        }
    }

    /// How many are rightly there, if that is not everybody. Nobody is named.
    fn compare_presence(&self, site: &Site, found: &BTreeMap<VisitorId, i64>) -> Option<Difference> {
        let right = found.iter().filter(|(visitor, seen)| self.presence.get(visitor) == Some(seen)).count();
        let aggregate = format!("redis, site {site}, visitors of the last hour who are rightly there");
        let expected = self.presence.len().max(found.len());
        (right != expected).then_some(Difference { aggregate, expected: expected as i64, found: right as i64 })
    }

    fn compare_top(&self, site: &Site, since: Day, (total, found): Themes) -> (u64, Vec<Difference>) {
        let mut expected = BTreeMap::<&str, u64>::new();
        let days = self.counts.iter().filter(|(key, _)| key.period() == Period::Day && key.first_day() >= since);
        for (theme, n) in days.flat_map(|(_, counts)| &counts.themes) {
            *expected.entry(theme).or_default() += n;
        }
        let mut found: BTreeMap<&str, u64> = found.iter().map(|(theme, n)| (theme.as_str(), *n)).collect();
        let themes: BTreeSet<&str> = expected.keys().chain(found.keys()).copied().collect();
        let compared = 1 + themes.len() as u64;
        let difference = |what: &str, expected: u64, found: u64| {
            let aggregate = format!("redis, site {site}, since {since}, {what}");
            let difference = Difference { aggregate, expected: signed(expected), found: signed(found) };
            (expected != found).then_some(difference)
        };
        let views = difference("theme views", expected.values().sum(), total);
        let each = themes.into_iter().filter_map(|theme| {
            let (expected, found) = (expected.remove(theme).unwrap_or(0), found.remove(theme).unwrap_or(0));
            difference(&format!("theme {theme:?}"), expected, found)
        });
        (compared, views.into_iter().chain(each).collect())
    }

    fn compare(&self, site: &Site, periods: &[PeriodKey], found: &[Found]) -> (u64, Vec<Difference>) {
        let none = PeriodCounts::default();
        let mut compared = 0;
        let mut differences = Vec::new();
        for (key, (counters, _, themes)) in periods.iter().zip(found) {
            // A period without its keys is answered by PostgreSQL.
            let Some(counters) = counters.iter().copied().collect::<Option<Vec<i64>>>() else { continue };
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
            let Some((views, themes)) = themes else { continue };
            let expected = &counts.themes;
            let all: u64 = expected.values().sum();
            check("theme views", signed(all), signed(*views), all == *views);
            let mut rest: BTreeMap<&str, u64> = themes.iter().map(|(theme, n)| (theme.as_str(), *n)).collect();
            for (theme, expected) in expected {
                let found = rest.remove(theme.as_str()).unwrap_or(0);
                check(&format!("theme {theme:?}"), signed(*expected), signed(found), *expected == found);
            }
            for (theme, found) in rest {
                check(&format!("theme {theme:?}"), 0, signed(found), false);
            }
        }
        (compared, differences)
    }
}

/// Who was there and when last, if the set is whole: its blank member is later than anybody.
fn present(answer: &Value) -> Option<BTreeMap<VisitorId, i64>> {
    let rows: Vec<(Vec<u8>, f64)> = redis::from_redis_value(answer.clone()).ok()?;
    let (whole, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(visitor, _)| visitor.is_empty());
    let rows = rows.into_iter().map(|(visitor, seen)| Some((Uuid::from_slice(&visitor).ok()?.into(), seen as i64)));
    if whole.is_empty() { None } else { rows.collect() }
}

/// A ranking, if it is whole: the score of its blank member is minus the sum of all others.
fn ranked(whole: &Value, rows: &Value) -> Option<Themes> {
    let sum: f64 = redis::from_redis_value(whole.clone()).ok()?;
    let rows: Vec<(String, f64)> = redis::from_redis_value(rows.clone()).unwrap_or_default();
    Some((sum.abs() as u64, rows.into_iter().map(|(name, n)| (name, n as u64)).collect()))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
