//! Retention.

use std::collections::BTreeMap;

use super::opened::{Buffers, Opened};
use super::visitors::Numbering;
use super::work::{ScanError, Work};
use crate::measure::columns::{Column, Columns};
use crate::measure::question::Range;
use crate::measure::question::retention::{Cohort, Retention, RetentionAnswer};
use crate::time::Timestamp;

/// The weeks in which a visitor had an event, a bit for each; more than the events that are kept span.
type Weeks = Vec<u64>;

/// Answers in which weeks explicit visitors return, from all days of the weeks.
///
/// # Errors
/// [`ScanError`].
pub fn answer(
    retention: &Retention,
    days: impl IntoIterator<Item: AsRef<dyn Columns>>,
    work: &Work<'_>,
) -> Result<RetentionAnswer, ScanError> {
    let buckets = retention.weeks.buckets();
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else { return Ok(RetentionAnswer::default()) };
    let range = Range { start: first.range.start, end: last.range.end };
    let words = retention.weeks.labels().len().div_ceil(64);
    let (mut numbering, mut buffers, mut weeks) = (Numbering::new(work), Buffers::default(), Weeks::new());
    for day in days {
        work.check()?;
        let columns = day.as_ref();
        let numbers = numbering.of_day(columns)?;
        let Some(opened) = Opened::new(columns, range, false, &mut buffers)? else { continue };
        let time = opened.numbers(Column::Time)?;
        for visit in opened.visits() {
            let Some(number) = numbers.get(visit.visitor) else { continue };
            let start = number as usize * words;
            for row in opened.events(visit) {
                let instant = Timestamp::from_millis(opened.midnight + i64::from(time.get(row)));
                if let Some(week) = retention.weeks.find(instant) {
                    if weeks.len() < start + words {
                        weeks.resize(start + words, 0);
                    }
                    weeks[start + week.label as usize / 64] |= 1 << (week.label % 64);
                }
            }
        }
        drop((time, numbers));
        opened.into_capped(&mut buffers);
        work.check_memory(8 * weeks.capacity() + numbering.memory() + buffers.memory())?;
    }

    let mut cohorts: BTreeMap<usize, Cohort> = BTreeMap::new();
    for weeks in weeks.chunks_exact(words) {
        let has = |week: usize| weeks[week / 64] & (1 << (week % 64)) != 0;
        let begun = retention.weeks.labels().len();
        let Some(week) = (0..begun).find(|week| has(*week)) else { continue };
        let followed = retention.followed.min(begun - week);
        let cohort = cohorts.entry(week).or_insert_with(|| Cohort { week, visitors: 0, returned: vec![0; followed] });
        cohort.visitors += 1;
        for (later, returned) in cohort.returned.iter_mut().enumerate() {
            *returned += u64::from(has(week + later));
        }
    }
    Ok(RetentionAnswer { cohorts: cohorts.into_values().collect() })
}
