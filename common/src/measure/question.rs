//! Questions, resolved: every name is looked up, every value normalised, every range an interval of
//! instants. Computing the answer needs no calendar, no configuration and no further validation.
//!
//! | module | what it is |
//! |---|---|
//! | [`metric`], [`number`] | what is measured, and exact decimal results |
//! | [`dimension`] | what results are grouped and filtered by: one table |
//! | [`filter`], [`goal`] | conditions on events and visits, some of them named |
//! | [`buckets`] | ranges of time, and their division into minutes to months |
//! | [`answer`] | what is computed: rows, and how they came about |
//! | [`funnel`], [`retention`] | the two questions of another shape |

pub mod answer;
pub mod buckets;
pub mod dimension;
pub mod filter;
pub mod funnel;
pub mod goal;
pub mod metric;
pub mod number;
pub mod retention;

pub use answer::{Answer, Answered, ResultRow, Summaries, VisitorCount};
pub use buckets::{Bucket, Buckets, Range};
pub use dimension::{Dimension, Field, Scope, TimeUnit};
pub use filter::{Filter, Leaf, Pattern, Test};
pub use goal::{Goal, Goals};
pub use metric::Metric;
pub use number::Number;

use super::zone::Zone;
use crate::site::Site;
use crate::time::{Day, Timestamp};

/// Metrics of the events that pass the filters, by dimensions.
#[derive(Debug, Clone)]
pub struct Question {
    /// The site.
    pub site: Site,
    /// What to compute, in the order of each row's `metrics`; at least one, none twice.
    pub metrics: Vec<Metric>,
    /// What to group by, in the order of each row's `dimensions`; at most
    /// [`Question::MOST_DIMENSIONS`], none twice. Without any, the answer is one row.
    pub dimensions: Vec<Dimension>,
    /// The buckets of the time dimensions, one for each of them, in the order of `dimensions`.
    pub buckets: Vec<Buckets>,
    /// Conditions that must all hold for one event. A top-level `and` is taken apart.
    pub filters: Vec<Filter>,
    /// The filters without those on goals and properties: they select the visitors that
    /// conversion rates are based on. Equal to `filters` unless a conversion rate is asked for.
    pub conversion_base: Vec<Filter>,
    /// The filters on `event:page`, asked of the visit's entry page: `bounce_rate` counts only
    /// visits that pass them.
    pub entry_filters: Vec<Filter>,
    /// Whether `scroll` and `hover` are ordinary events, because the question filters or groups by
    /// `event:name`.
    pub reports_are_events: bool,
    /// What rows by [`Dimension::Goal`] stand for.
    pub goals: Goals,
    /// The instants that are covered.
    pub range: Range,
    /// The zone whose days a UTC day stands for, where only its summary is left.
    pub zone: Zone,
    /// How rows are ordered; ties are broken by the values of the dimensions.
    pub order_by: Vec<(OrderKey, Direction)>,
    /// The most rows to return, 1 to [`Question::MOST_ROWS`].
    pub limit: usize,
    /// How many rows to pass over first.
    pub offset: usize,
}

impl Question {
    /// The most dimensions.
    pub const MOST_DIMENSIONS: usize = 3;
    /// The most rows of one answer.
    pub const MOST_ROWS: usize = 10_000;

    /// Those of these UTC days, of which only summaries are left, that are part of the range, each with the
    /// instant at which the local day begins that it stands for: it is part wholly or not at all, and is if
    /// that instant is.
    pub fn expired(&self, days: std::ops::Range<Day>) -> impl Iterator<Item = (Day, Timestamp)> {
        let Range { start, end } = self.range;
        let first = self.zone.day(start).number().max(days.start.number());
        let end_day = self.zone.day(end).plus(1).number().min(days.end.number());
        let days = (first..end_day).map(Day::from_number).map(|day| (day, self.zone.start_of_day(day)));
        days.filter(move |(_, at)| start <= *at && *at < end)
    }
}

/// What rows are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderKey {
    /// The metric at this place of [`Question::metrics`].
    Metric(usize),
    /// The dimension at this place of [`Question::dimensions`]: time by time, others by bytes.
    Dimension(usize),
}

/// Which way rows are ordered. A value that is null comes last either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}
