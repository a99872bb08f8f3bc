//! Which themes of the CV are viewed most.

use std::ops::Range;

use super::question::{Answer, Dimension, Direction, Field, Goals, Metric, OrderKey, Question, buckets};
use super::zone::Zone;
use crate::site::Site;
use crate::time::Day;

/// The most viewed themes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Themes {
    /// Views of all themes, of those beyond the limit too.
    pub total: u64,
    /// Theme and views: most viewed first, ties by name, ascending by bytes.
    pub rows: Vec<(String, u64)>,
}

impl Themes {
    /// The question that they are the answer to.
    pub(super) fn question(site: &Site, days: &Range<Day>) -> Question {
        Question {
            site: site.clone(),
            metrics: vec![Metric::Events],
            dimensions: vec![Dimension::Field(Field::Theme)],
            buckets: Vec::new(),
            filters: Vec::new(),
            conversion_base: Vec::new(),
            entry_filters: Vec::new(),
            reports_are_events: false,
            goals: Goals::CustomEvents,
            range: buckets::Range { start: days.start.start(), end: days.end.start() },
            zone: Zone::UTC,
            order_by: vec![(OrderKey::Metric(0), Direction::Descending)],
            limit: Question::MOST_ROWS,
            offset: 0,
        }
    }

    /// At most `limit` of the answer. Its row of events without a theme is left out.
    pub(super) fn of(answer: Answer, limit: usize) -> Self {
        let named = answer.rows.into_iter().filter_map(|mut row| {
            let theme = row.dimensions.pop().filter(|theme| !theme.is_empty())?;
            Some((theme, row.metrics.pop()??.scaled().unsigned_abs()))
        });
        let mut rows: Vec<(String, u64)> = named.collect();
        let total = rows.iter().map(|(_, views)| views).sum();
        rows.sort_unstable_by(|(a, views_a), (b, views_b)| views_b.cmp(views_a).then_with(|| a.cmp(b)));
        rows.truncate(limit);
        Self { total, rows }
    }
}
