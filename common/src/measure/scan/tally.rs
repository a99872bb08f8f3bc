//! What one closed day counts by one dimension, for its summary.

use std::sync::Arc;

use super::opened::{Buffers, Opened};
use super::pass::{Pass, Wanted};
use super::totals::{Counted, Label, Totals};
use super::visitors::Numbering;
use super::work::{ScanError, Work};
use crate::measure::columns::Columns as _;
use crate::measure::question::{Dimension, Goals, Metric, Question, Range};
use crate::measure::segment::Segment;
use crate::measure::zone::Zone;
use crate::site::Site;

/// Calls `each` with every value of a dimension that has events and what they count, or, without a
/// dimension, once with what the whole day counts. Answers whether there were more values than are kept.
pub(in crate::measure) fn tally(
    segments: &[Segment],
    dimension: Option<&Dimension>,
    reports_are_events: bool,
    mut each: impl FnMut(&str, &Counted),
) -> Result<bool, ScanError> {
    let Some(day) = segments.first().map(Segment::day) else { return Ok(false) };
    let question = Question {
        site: Site::default(),
        metrics: vec![Metric::Visits, Metric::Events, Metric::Pageviews, Metric::BounceRate, Metric::VisitDuration],
        dimensions: dimension.cloned().into_iter().collect(),
        buckets: Vec::new(),
        filters: Vec::new(),
        conversion_base: Vec::new(),
        entry_filters: Vec::new(),
        reports_are_events,
        goals: Goals::CustomEvents,
        range: Range { start: day.start(), end: day.plus(1).start() },
        zone: Zone::UTC,
        order_by: Vec::new(),
        limit: Question::MOST_ROWS,
        offset: 0,
    };
    let work = Work { memory: usize::MAX, stopped: &|| false, visitors: Arc::default() };
    let (mut buffers, mut numbering) = (Buffers::default(), Numbering::new(&work));
    let dimensions: Vec<usize> = (0..question.dimensions.len()).collect();
    let mut totals = Totals::new(dimensions.len());
    let pass = Pass { question: &question, filters: &[], dimensions, wanted: Wanted::of(&question.metrics) };
    let mut is_capped = false;
    for segment in segments {
        let Some(opened) = Opened::new(segment, question.range, reports_are_events, &mut buffers)? else { continue };
        let numbers = numbering.of_day(segment)?;
        pass.run(&opened, &numbers, &work, &mut totals)?;
        is_capped |= !opened.into_capped(&mut buffers).is_empty();
    }
    totals.each(false, |labels, counted| match labels {
        [Label::Text(text)] => each(text, counted),
        _ => each("", counted),
    });
    Ok(is_capped)
}
