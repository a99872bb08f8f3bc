//! Questions that Redis answers: each in one round trip, as of one position, or not at all.

use redis::Value;

use super::script::call;
use super::sites::Mark;
use super::{Away, Parts, keys};
use crate::event::EARLIEST;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Ranking, Realtime, Totals};
use crate::time::Timestamp;

/// The figures of a period, and who is there.
struct Figures {
    counters: [u64; 5],
    visitors: u64,
    current: Option<u64>,
}

impl Parts {
    pub(super) async fn realtime(&self, site: &Site, now: Timestamp, window: i64) -> Option<Realtime> {
        let today = PeriodKey::of(Period::Day, now.day());
        let seen = (now.plus(-window), now.plus(EARLIEST));
        let figures = self.figures(site, today, Some(seen)).await?;
        Some(Realtime {
            current_visitors: figures.current?,
            unique_today: figures.visitors,
            total_events: figures.counters[0],
            letters_today: figures.counters[2],
        })
    }

    pub(super) async fn totals(&self, site: &Site, key: PeriodKey) -> Option<Totals> {
        let Figures { counters: [events, page_views, letters, motivation, anti_motivation], visitors, .. } =
            self.figures(site, key, None).await?;
        Some(Totals { events, page_views, letters, motivation, anti_motivation, visitors })
    }

    /// Whether Redis may be asked about a period of a site at all.
    fn may_answer(&self, site: &Site, key: PeriodKey) -> bool {
        !self.link.is_open()
            && !self.evicting.load(std::sync::atomic::Ordering::Relaxed)
            && self.sites.need(site) == super::Need::Nothing
            && self.truth.horizon().answers(key)
    }

    /// Whether an answer under this mark may be given.
    fn trusts(&self, site: &Site, mark: &Value) -> bool {
        let mark = match mark {
            Value::BulkString(mark) => Mark::parse(Some(mark), &self.store),
            _ => Mark::Missing,
        };
        let trusted = self.sites.trust(site, mark);
        if !trusted && self.sites.need(site) != super::Need::Nothing {
            self.count_in_need();
            self.mend.notify_one();
        }
        trusted
    }

    async fn figures(&self, site: &Site, key: PeriodKey, seen: Option<(Timestamp, Timestamp)>) -> Option<Figures> {
        if !self.may_answer(site, key) {
            return None;
        }
        let mut names = vec![keys::applied(site)];
        names.extend(keys::of_period(site, key));
        if seen.is_some() {
            names.push(keys::visitors(site));
        }
        let mut read = call(&self.link.scripts.read, &names);
        if let Some((from, to)) = seen {
            read.arg(format!("({}", from.millis())).arg(to.millis());
        }
        let Value::Array(answer) = self.link.ask_one("read", read).await.ok()? else { return None };
        let [mark, there, counters @ .., visitors, current] = answer.as_slice() else { return None };
        if !self.trusts(site, mark) || *there != Value::Int(keys::PER_PERIOD as i64) {
            return None;
        }
        let counters: Vec<u64> = counters.iter().map(number).collect::<Option<_>>()?;
        Some(Figures { counters: counters.try_into().ok()?, visitors: number(visitors)?, current: number(current) })
    }

    pub(super) async fn themes(&self, site: &Site, key: PeriodKey, limit: usize) -> Option<Ranking> {
        if !self.may_answer(site, key) {
            return None;
        }
        let [.., themes] = keys::of_period(site, key);
        let mut rank = call(&self.link.scripts.rank, &[keys::applied(site), themes]);
        rank.arg(limit);
        let Value::Array(answer) = self.link.ask_one("read", rank).await.ok()? else { return None };
        let [mark, sum, rows @ ..] = answer.as_slice() else { return None };
        if self.trusts(site, mark) { ranking(sum, rows) } else { None }
    }

    /// A period's sketch and its estimate; an error when Redis does not have the site right.
    pub(super) async fn sketch(&self, site: &Site, key: PeriodKey) -> Result<Option<(Vec<u8>, u64)>, Away> {
        if self.is_degraded() {
            return Err(Away);
        }
        let name = keys::sketch(site, key);
        let mut pipeline = redis::pipe();
        pipeline.cmd("GET").arg(keys::applied(site)).cmd("PFCOUNT").arg(&name).cmd("GET").arg(&name);
        let answers = self.link.ask("read", &pipeline).await?;
        let [mark, estimate, sketch] = answers.as_slice() else { return Err(Away) };
        let applied = matches!(mark, Value::BulkString(mark) if Mark::parse(Some(mark), &self.store) != Mark::Missing);
        if !self.trusts(site, mark) && applied {
            return Err(Away);
        }
        match (sketch, number(estimate)) {
            (Value::BulkString(sketch), Some(estimate)) => Ok(Some((sketch.clone(), estimate))),
            (Value::Nil, _) => Ok(None),
            _ => Err(Away),
        }
    }
}

/// Reads the answer of `rank.lua`: minus the sum, and names and counts in turn.
pub(super) fn ranking(sum: &Value, rows: &[Value]) -> Option<Ranking> {
    let Value::BulkString(sum) = sum else { return None };
    let total = std::str::from_utf8(sum).ok()?.parse::<f64>().ok()?;
    let rows = rows.chunks(2).map(|row| match row {
        [Value::BulkString(theme), n] => Some((String::from_utf8(theme.clone()).ok()?, number(n)?)),
        _ => None,
    });
    let mut rows: Vec<(String, u64)> = rows.collect::<Option<_>>()?;
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    // Counts fit into the 53 bits that scores are exact to.
    Some(Ranking { total: total.abs() as u64, rows })
}

/// A count; Redis writes some as text.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}
