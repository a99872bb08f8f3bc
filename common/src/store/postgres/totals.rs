//! Live totals: the figures of each day, week and month of a site, and who came on which day, from
//! which distinct visitors follow. Both change in the transaction that adds the events.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use foldhash::fast::RandomState;
use tokio_postgres::Row;
use tokio_postgres::error::Error;
use uuid::Uuid;

use super::connection::Connections;
use super::feed::{SITE, query};
use super::values::count;
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Result, Totals};
use crate::time::Day;

/// How many visits a connection remembers at most: 24 bytes each, and some.
const MOST_KNOWN: usize = 100_000;

/// A site, a day and a visitor who came on it.
type Visit = (i32, Day, Uuid);

/// Visits that are certainly recorded: most events need not be looked up.
#[derive(Debug, Default)]
pub(super) struct KnownVisits {
    /// Rows of earlier months may be deleted at any time.
    since: Option<Day>,
    /// An erasure or a rebuild may have deleted any: both are counted as changes.
    changes: i64,
    visits: HashSet<Visit, RandomState>,
}

impl KnownVisits {
    /// Notes visits that were committed.
    pub(super) fn extend(&mut self, visits: impl IntoIterator<Item = Visit>) {
        let since = self.since;
        self.visits.extend(visits.into_iter().filter(|(_, day, _)| since.is_none_or(|since| *day >= since)));
        if self.visits.len() > MOST_KNOWN {
            self.visits.clear();
        }
    }

    fn contains(&self, visit: &Visit) -> bool {
        self.visits.contains(visit)
    }

    /// Takes note from which day on events are kept, and how often answers had changed other than by
    /// events; answers whether visits were known until now that may be deleted.
    pub(super) fn as_of(&mut self, kept_since: Day, changes: i64) -> bool {
        let since = Some(visitors_since(kept_since));
        if since == self.since && changes == self.changes {
            return false;
        }
        let forgotten = !self.visits.is_empty();
        *self = Self { since, changes, visits: HashSet::default() };
        forgotten
    }
}

/// The first month whose visitors are kept when events are kept from a day on: a month's row also
/// has the days of a week that goes on in the next month.
pub(super) fn visitors_since(kept_since: Day) -> Day {
    PeriodKey::of(Period::Month, kept_since.plus(-7)).first_day()
}

/// Rows of `analytics_visitors`: by site, month (its first day) and visitor, on which days the
/// visitor came, one bit each; 0 when there is no row.
#[derive(Debug, Default)]
pub(super) struct MonthRows {
    index: HashMap<Visit, usize, RandomState>,
    pub(super) sites: Vec<i32>,
    pub(super) months: Vec<Day>,
    pub(super) visitors: Vec<Uuid>,
    pub(super) days: Vec<i32>,
    changed: Vec<bool>,
}

impl MonthRows {
    /// The rows that tell whether these visits are new, but for those that are known not to be.
    pub(super) fn of(visits: impl IntoIterator<Item = Visit>, known: &KnownVisits) -> Self {
        let mut rows = Self::default();
        for (site, day, visitor) in visits {
            if known.contains(&(site, day, visitor)) {
                continue;
            }
            for month in months(day) {
                rows.place((site, month, visitor));
            }
        }
        rows
    }

    fn place(&mut self, key: Visit) -> usize {
        let next = self.sites.len();
        let at = *self.index.entry(key).or_insert(next);
        if at == next {
            self.sites.push(key.0);
            self.months.push(key.1);
            self.visitors.push(key.2);
            self.days.push(0);
            self.changed.push(false);
        }
        at
    }

    /// Notes a visit; answers whether the visitor is new to the day, the week and the month.
    fn visit(&mut self, (site, day, visitor): Visit) -> [bool; 3] {
        let month = PeriodKey::of(Period::Month, day).first_day();
        let week = PeriodKey::of(Period::Week, day);
        let at = self.place((site, month, visitor));
        let before = self.days[at];
        let bit = 1 << (day.number() - month.number());
        if before & bit != 0 {
            return [false; 3];
        }
        let mut of_week = 0;
        for month in months(day) {
            let at = self.place((site, month, visitor));
            of_week |= self.days[at] & bits_within(month, week);
        }
        self.days[at] |= bit;
        self.changed[at] = true;
        [true, of_week == 0, before == 0]
    }

    /// Leaves the rows that a visit changed.
    fn changed(self) -> Self {
        let mut rows = Self::default();
        for at in (0..self.sites.len()).filter(|at| self.changed[*at]) {
            rows.sites.push(self.sites[at]);
            rows.months.push(self.months[at]);
            rows.visitors.push(self.visitors[at]);
            rows.days.push(self.days[at]);
        }
        rows
    }
}

/// The first day of a day's month, and of the other month that its week has days in, if any.
fn months(day: Day) -> impl Iterator<Item = Day> {
    let week = PeriodKey::of(Period::Week, day);
    let [own, first, last] =
        [day, week.first_day(), week.last_day()].map(|day| PeriodKey::of(Period::Month, day).first_day());
    let other = if first == own { last } else { first };
    std::iter::once(own).chain((other != own).then_some(other))
}

/// The bits of a month's days that lie in a week.
fn bits_within(month: Day, week: PeriodKey) -> i32 {
    (0..31)
        .filter(|bit| (week.first_day()..=week.last_day()).contains(&month.plus(*bit)))
        .fold(0, |bits, bit| bits | 1 << bit)
}

/// What a batch of events adds.
#[derive(Debug, Default)]
pub(super) struct Changes {
    totals: BTreeMap<(i32, i64), Totals>,
    /// Rows of visitors as they are afterwards, those that change.
    pub(super) visitors: MonthRows,
    /// Visits that are recorded afterwards.
    pub(super) visits: Vec<Visit>,
    /// How many visitors are new to their day.
    pub(super) new_visitors: u64,
}

impl Changes {
    /// What these events add, each with the number of its site; `rows` are those that tell whether
    /// their visitors are new.
    pub(super) fn of<'a>(
        events: impl IntoIterator<Item = (i32, &'a Event)>,
        mut rows: MonthRows,
        known: &KnownVisits,
    ) -> Self {
        let mut changes = Self::default();
        for (site, event) in events {
            let day = event.created_at.day();
            let visit = (site, day, Uuid::from_bytes(*event.visitor.as_bytes()));
            let new = if known.contains(&visit) { [false; 3] } else { rows.visit(visit) };
            changes.new_visitors += u64::from(new[0]);
            if !known.contains(&visit) {
                changes.visits.push(visit);
            }
            let one = Totals::of(event);
            for (key, new) in Period::ALL.map(|period| PeriodKey::of(period, day)).into_iter().zip(new) {
                let sum = changes.totals.entry((site, key.bucket())).or_default();
                *sum += one;
                sum.visitors += u64::from(new);
            }
        }
        changes.visitors = rows.changed();
        changes
    }

    /// What is added to totals, as columns: sites, buckets, and the six figures.
    pub(super) fn columns(&self) -> (Vec<i32>, Vec<i64>, [Vec<i64>; 6]) {
        let (sites, buckets) = self.totals.keys().copied().unzip();
        let mut figures = [const { Vec::new() }; 6];
        for totals in self.totals.values() {
            for (column, figure) in figures.iter_mut().zip(figures_of(totals)) {
                column.push(figure as i64);
            }
        }
        (sites, buckets, figures)
    }
}

/// The figures in the order of the columns.
pub(super) fn figures_of(totals: &Totals) -> [u64; 6] {
    let Totals { events, page_views, letters, motivation, anti_motivation, visitors } = *totals;
    [events, page_views, letters, motivation, anti_motivation, visitors]
}

/// The columns that [`read`] reads.
pub(super) const COLUMNS: &str = "events, page_views, letters, motivation, anti_motivation, visitors";

/// Reads [`COLUMNS`], which begin at a place of a row.
pub(super) fn read(row: &Row, from: usize) -> Result<Totals, Error> {
    let figure = |at: usize| row.try_get(from + at).map(count);
    Ok(Totals {
        events: figure(0)?,
        page_views: figure(1)?,
        letters: figure(2)?,
        motivation: figure(3)?,
        anti_motivation: figure(4)?,
        visitors: figure(5)?,
    })
}

/// The figures of a period.
pub(super) async fn totals(connections: &Connections, site: &Site, key: PeriodKey) -> Result<Totals> {
    let sql = format!("select {COLUMNS} from analytics_totals where site = {SITE} and bucket = $2");
    let rows = connections.ask("totals", |client| async {
        let client = client;
        query(&client, &sql, &[&site.as_str(), &key.bucket()]).await
    });
    Ok(rows.await?.first().map(|row| read(row, 0)).transpose()?.unwrap_or_default())
}

/// The figures of each day of a range.
pub(super) async fn daily(connections: &Connections, site: &Site, days: Range<Day>) -> Result<Vec<(Day, Totals)>> {
    let [first, end] = [days.start, days.end].map(|day| PeriodKey::of(Period::Day, day).bucket());
    let sql = format!(
        "select bucket, {COLUMNS} from analytics_totals
         where site = {SITE} and bucket >= $2 and bucket < $3 and bucket & 3 = 0 order by bucket"
    );
    let rows = connections.ask("daily", |client| async {
        let client = client;
        query(&client, &sql, &[&site.as_str(), &first, &end]).await
    });
    let rows = rows.await?;
    let rows = rows.iter().map(|row| {
        let key = PeriodKey::from_bucket(row.try_get(0)?);
        key.map(|key| Ok((key.first_day(), read(row, 1)?))).transpose()
    });
    let found: HashMap<Day, Totals> = rows.filter_map(Result::transpose).collect::<Result<_, Error>>()?;
    let days = (days.start.number()..days.end.number()).map(Day::from_number);
    Ok(days.map(|day| (day, found.get(&day).copied().unwrap_or_default())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn a_week_has_rows_in_two_months() {
        assert_eq!(months(day("2025-12-31")).collect::<Vec<_>>(), [day("2025-12-01"), day("2026-01-01")]);
        assert_eq!(months(day("2026-01-01")).collect::<Vec<_>>(), [day("2026-01-01"), day("2025-12-01")]);
        assert_eq!(months(day("2025-12-28")).collect::<Vec<_>>(), [day("2025-12-01")]);
        let week = PeriodKey::of(Period::Week, day("2025-12-31"));
        assert_eq!(bits_within(day("2025-12-01"), week), 0b111 << 28);
        assert_eq!(bits_within(day("2026-01-01"), week), 0b1111);
    }

    #[test]
    fn a_visitor_is_new_to_a_day_a_week_and_a_month_once() {
        let who = Uuid::from_u128(7);
        let mut rows = MonthRows::default();
        for (text, expected) in [
            ("2025-12-31", [true, true, true]),
            ("2025-12-31", [false, false, false]),
            ("2026-01-01", [true, false, true]),
            // Late events may come in any order.
            ("2025-12-29", [true, false, false]),
            ("2025-12-28", [true, true, false]),
        ] {
            assert_eq!(rows.visit((1, day(text), who)), expected, "{text}");
        }
        assert_eq!(rows.visit((2, day("2025-12-31"), who)), [true; 3], "of another site");
        let changed = rows.changed();
        assert_eq!((changed.sites, changed.days[0]), (vec![1, 1, 2], 1 << 30 | 1 << 28 | 1 << 27));
    }

    #[test]
    fn known_visits_are_not_looked_up() {
        let visit = (1, day("2025-12-08"), Uuid::from_u128(7));
        let mut known = KnownVisits::default();
        assert_eq!(MonthRows::of([visit], &known).sites, [1]);
        known.extend([visit]);
        assert_eq!(MonthRows::of([visit], &known).sites, [0; 0]);
    }
}
