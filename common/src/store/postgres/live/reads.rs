//! Questions that Redis answers: each in one round trip, as of one position, or not at all.

use redis::{Cmd, Value};

use super::script::call;
use super::sites::{Mark, Need};
use super::{Parts, keys};
use crate::event::MAX_CLOCK_SKEW;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Realtime, Totals};
use crate::tally::Ranking;
use crate::time::{Day, Timestamp};

/// How many seconds a day must still have to be added up: clocks may differ.
const MARGIN: u64 = 3_600;
/// How many members the rankings of days may have together that are added up: some milliseconds'
/// worth of Redis's time.
const MOST_MEMBERS: usize = 50_000;

/// The figures of a period, and who is there.
struct Figures {
    counters: [u64; 5],
    visitors: u64,
    current: Option<u64>,
}

impl Parts {
    pub(super) async fn realtime(&self, site: &Site, now: Timestamp, window: i64) -> Option<Realtime> {
        let today = PeriodKey::of(Period::Day, now.day());
        let seen = (now.plus(-window), now.plus(MAX_CLOCK_SKEW));
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
        self.is_believed() && self.sites.need(site) == Need::Nothing && self.truth.horizon().answers(key)
    }

    /// Whether an answer under this mark may be given.
    fn trusts(&self, site: &Site, mark: &Value) -> bool {
        let mark = match mark {
            Value::BulkString(mark) => Mark::parse(Some(mark), &self.store),
            _ => Mark::Missing,
        };
        let trusted = self.sites.trust(site, mark);
        if !trusted && self.sites.need(site) != Need::Nothing {
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
        let answer = self.array(site, read).await?;
        let [mark, there, counters @ .., visitors, current] = answer.as_slice() else { return None };
        if !self.trusts(site, mark) {
            return None;
        }
        // Nothing was counted yet, or it is not kept any more.
        if *there == Value::Int(0) {
            return None;
        }
        let whole = *there == Value::Int(keys::PER_PERIOD as i64);
        if !whole || seen.is_some() && *current == Value::Int(-1) {
            self.broken(site).await;
            return None;
        }
        let counters: Vec<u64> = counters.iter().map(number).collect::<Option<_>>()?;
        Some(Figures { counters: counters.try_into().ok()?, visitors: number(visitors)?, current: number(current) })
    }

    /// What a script answered; a key that is not what it should be is a reason to rebuild.
    async fn array(&self, site: &Site, command: Cmd) -> Option<Vec<Value>> {
        match self.link.ask_one("read", command).await.ok()? {
            Value::Array(answer) => Some(answer),
            _ => {
                self.broken(site).await;
                None
            }
        }
    }

    /// Takes the mark of a site away whose keys are not what they should be.
    async fn broken(&self, site: &Site) {
        tracing::warn!(site.id = %site, "redis: keys of a site are missing or damaged: they will be rebuilt from postgresql");
        if self.void(std::slice::from_ref(site)).await.is_ok() {
            self.require(site, Need::Rebuild, 0);
        }
    }

    pub(super) async fn themes(&self, site: &Site, key: PeriodKey, limit: usize) -> Option<Ranking> {
        if !self.may_answer(site, key) {
            return None;
        }
        let [.., themes] = keys::of_period(site, key);
        let mut rank = call(&self.link.scripts.rank, &[keys::applied(site), themes]);
        rank.arg(limit);
        self.rank(site, rank).await
    }

    /// The themes of all days since one.
    pub(super) async fn themes_since(&self, site: &Site, since: Day, limit: usize) -> Option<Ranking> {
        let today = self.clock().day();
        let first = PeriodKey::of(Period::Day, since);
        // Days that may have lost their keys cannot be added up.
        if !self.may_answer(site, first) || keys::seconds_left(first, self.clock()) < MARGIN || since > today {
            return None;
        }
        let [top, top_since] = keys::themes_top(site);
        let mut rank = call(&self.link.scripts.rank, &[keys::applied(site), top.clone(), top_since.clone()]);
        rank.arg(limit).arg(since.number());
        if let Some(ranking) = self.rank(site, rank.clone()).await {
            return Some(ranking);
        }
        let mut names = vec![keys::applied(site), top, top_since];
        // Clocks may differ, and events lie a little ahead of any.
        names.extend((since.number()..=today.number() + 1).map(|day| {
            let [.., themes] = keys::of_period(site, PeriodKey::of(Period::Day, Day::from_number(day)));
            themes
        }));
        let mut union = call(&self.link.scripts.union, &names);
        union.arg(&self.store).arg(since.number()).arg(keys::TOP_SECONDS).arg(MOST_MEMBERS);
        if self.link.ask_one("read", union).await.ok()? != Value::Int(1) {
            return None;
        }
        self.rank(site, rank).await
    }

    async fn rank(&self, site: &Site, rank: Cmd) -> Option<Ranking> {
        let answer = self.array(site, rank).await?;
        let [mark, sum, rows @ ..] = answer.as_slice() else { return None };
        if self.trusts(site, mark) { ranking(sum, rows) } else { None }
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
