//! Reads the summaries that a question needs, and says how far they answered it.

use std::collections::HashMap;
use std::sync::Arc;

use super::Summary;
use super::expired::Expired;
use super::plan::Plan;
use crate::measure::days::Counts;
use crate::measure::question::{Answer, Answered, Metric, Question, Summaries, VisitorCount};
use crate::measure::scan::{ScanError, Work};
use crate::measure::service::{QueryError, Service};
use crate::store::{BlockKind, Store};
use crate::time::{Day, Timestamp};

/// Days whose summaries are in memory at the same time.
const AT_ONCE: i32 = 32;

/// What summaries contribute to one answer.
#[derive(Debug, Default)]
pub(in crate::measure) struct Reading {
    /// What they add up to; none if no expired day of the range has a summary, or none can be used.
    pub(in crate::measure) sums: Option<Arc<Expired>>,
    summaries: Option<Summaries>,
}

impl Reading {
    /// Reads what a question needs of the days before `first_kept`; days of which there are events are
    /// not needed.
    pub(in crate::measure) async fn new(
        service: &Service,
        store: &dyn Store,
        question: &Arc<Question>,
        counts: &Counts,
        first_kept: Day,
        now: Timestamp,
    ) -> Result<Self, QueryError> {
        let first_summary = service.first_summary(now);
        let expired = question.expired(first_summary..first_kept);
        let days: HashMap<Day, Timestamp> = expired.filter(|(day, _)| !counts.contains_key(day)).collect();
        let (Some(first), Some(last)) = (days.keys().min().copied(), days.keys().max().copied()) else {
            return Ok(Self::default());
        };
        let says = |answered, reason: Option<String>| Summaries { answered, reason, first_day_of_events: first_kept };
        let (is_of_totals, unknown) = match Plan::of(question) {
            Ok(plan) => (plan.is_of_totals(), plan.unknown),
            Err(impossible) => {
                let totals = store.blocks(&question.site, BlockKind::Totals, first..last.plus(1)).await?;
                let is_missed = totals.iter().any(|(day, _)| days.contains_key(day));
                let reason = Some(impossible.reason().to_owned());
                return Ok(Self { sums: None, summaries: is_missed.then(|| says(Answered::None, reason)) });
            }
        };
        let kind = if is_of_totals { BlockKind::Totals } else { BlockKind::Summary };
        let step = if is_of_totals { last.number() - first.number() + 1 } else { AT_ONCE };
        let days = Arc::new(days);
        let mut sums = Expired::default();
        if let Ok(plan) = Plan::of(question) {
            sums = Expired::new(&plan);
        }
        let mut from = first;
        while from <= last {
            let to = from.plus(step).min(last.plus(1));
            let blocks = store.blocks(&question.site, kind, from..to).await?;
            let (days, asked) = (Arc::clone(&days), Arc::clone(question));
            let added = service.work(store, &question.site, now, move |work| add(&asked, &days, blocks, sums, work));
            sums = added.await?;
            from = to;
        }
        if sums.days == 0 {
            return Ok(Self::default());
        }
        let is_cut = question.expired(Day::from_number(0)..first_summary).next().is_some();
        let reason = reason(&unknown, is_cut.then_some(first_summary), sums.damaged);
        let answered = if reason.is_some() { Answered::Some } else { Answered::All };
        Ok(Self { sums: Some(Arc::new(sums)), summaries: Some(says(answered, reason)) })
    }

    /// Says in an answer what summaries did; `scanned` is whether days with events are part of it too.
    pub(in crate::measure) fn describe(self, mut answer: Answer, scanned: bool) -> Answer {
        answer.visitors = match (self.sums.is_some(), scanned) {
            (false, _) => VisitorCount::Distinct,
            (true, false) => VisitorCount::Daily,
            (true, true) => VisitorCount::Mixed,
        };
        answer.summaries = self.summaries;
        answer
    }
}

/// Adds some days to what there is.
fn add(
    question: &Question,
    days: &HashMap<Day, Timestamp>,
    blocks: Vec<(Day, Vec<u8>)>,
    mut sums: Expired,
    work: &Work<'_>,
) -> Result<Expired, ScanError> {
    let Ok(plan) = Plan::of(question) else { return Ok(sums) };
    for (day, block) in blocks {
        let Some(at) = days.get(&day) else { continue };
        work.check()?;
        match Summary::open(block) {
            Ok(summary) => sums.add(&plan, &summary, *at),
            Err(_) => sums.damaged = true,
        }
        work.check_memory(sums.memory())?;
    }
    Ok(sums)
}

/// Why summaries did not answer everything.
fn reason(unknown: &[Metric], first_summary: Option<Day>, damaged: bool) -> Option<String> {
    let mut reasons = Vec::new();
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown.iter().map(|metric| metric.name()).collect();
        reasons.push(format!("summaries do not tell {} of this question", names.join(", ")));
    }
    if let Some(first) = first_summary {
        reasons.push(format!("summaries are kept since {first}"));
    }
    if damaged {
        reasons.push("a summary is damaged".to_owned());
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
