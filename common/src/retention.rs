//! The cleanup run: deletes what is older than the retention, in bounded steps.
//!
//! What it deletes cannot be had back, and what is old depends on the clock. A scheduled run
//! therefore goes ahead only when the store confirms the clock ([`decide`]); a run by hand
//! always does.

mod sites;

use std::ops::RangeInclusive;
use std::time::Instant;

use serde::Serialize;

use crate::App;
use crate::store::{BlockKind, Store, StoreError, Waited};
use crate::telemetry::SPANS;
use crate::time::{DAY, Day, HOUR, Timestamp};

/// How far a scheduled run may lie behind the last one, in milliseconds: 3 days. It deletes so
/// many days more than that run did, however wrong the clock is.
pub const MAX_GAP: i64 = 3 * DAY;
/// How far ahead of the clock the last run may be recorded, in milliseconds: clocks of several
/// machines differ.
const MAX_CLOCK_SKEW: i64 = HOUR;
/// How many scheduled runs wait, each on a later day than the one before, until the next one
/// believes the clock.
pub const WAITING_RUNS: u8 = 3;
/// How many days may lie between two runs that wait, for the second to confirm the first.
const MAX_WAIT_GAP: i32 = 31;

/// What a cleanup run did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Report {
    /// The first UTC day that is kept; events of all days before it are gone.
    #[schema(value_type = String, format = Date, example = "2025-09-09")]
    pub cutoff: Day,
    /// Events deleted by this run.
    pub deleted: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// When a run last succeeded: this one.
    #[schema(value_type = String, format = DateTime)]
    pub last_success: Timestamp,
}

/// The first day that is kept at `now`: whole days go, so an event lives for the retention
/// and at most a day longer.
#[must_use]
pub fn cutoff(retention_days: u32, now: Timestamp) -> Day {
    now.day().plus(-i32::try_from(retention_days).unwrap_or(i32::MAX))
}

/// The first day whose summary is kept at `now`: the same date so many months earlier.
#[must_use]
pub fn summaries_cutoff(months: u32, now: Timestamp) -> Day {
    let months = i32::try_from(months).unwrap_or(i32::MAX).min(12_000);
    Day::from_date(now.day().date().saturating_sub(jiff::Span::new().months(months)))
}

/// What the store knows when a scheduled run is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// When a run last succeeded.
    pub last_run: Option<Timestamp>,
    /// The days of the oldest and the newest event; the newest must not be one that this process
    /// stored with the clock that is in question.
    pub events: Option<RangeInclusive<Day>>,
    /// The scheduled runs that waited before this one.
    pub waited: Option<Waited>,
}

/// Whether a scheduled run may delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Run,
    /// It has to wait, and records this.
    Wait(Waited),
}

/// Decides whether a scheduled run may delete what is older than the retention at `now`.
///
/// It may when the last run lies at most [`MAX_GAP`] back. Before the first run, it may when it
/// would delete no event, or when the newest event is at most [`MAX_GAP`] old. In all other
/// cases (the machine was off for long, or the clock is or was wrong) it waits: the next run
/// after [`WAITING_RUNS`] that waited, each on a later day than the one before and at most 31
/// days after it, may delete. A clock that is wrong once does not last that long.
#[must_use]
pub fn decide(evidence: &Evidence, retention_days: u32, now: Timestamp) -> Decision {
    let today = now.day();
    let age = |day: Day| i64::from(today.number() - day.number()) * DAY;
    let confirmed = match (evidence.last_run, &evidence.events) {
        (Some(last), _) => (-MAX_CLOCK_SKEW..=MAX_GAP).contains(&(now.millis() - last.millis())),
        (None, None) => true,
        (None, Some(days)) => {
            *days.start() >= cutoff(retention_days, now) || (-DAY..=MAX_GAP).contains(&age(*days.end()))
        }
    };
    let runs = match evidence.waited {
        Some(waited) if waited.day == today => waited.runs,
        Some(waited) if (1..=MAX_WAIT_GAP).contains(&(today.number() - waited.day.number())) => {
            waited.runs.saturating_add(1)
        }
        _ => 1,
    };
    if confirmed || runs > WAITING_RUNS { Decision::Run } else { Decision::Wait(Waited { day: today, runs }) }
}

/// What a scheduled run did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Scheduled {
    /// It deleted what is older than the retention.
    Done(Report),
    /// It waits.
    Waits {
        /// How many runs have waited in a row, this one included.
        waiting_runs: u8,
    },
}

/// The scheduled run: as [`run`], unless the clock cannot be trusted. `newest` is the day of the
/// newest event that this process did not store itself.
///
/// # Errors
/// When the store cannot; what was deleted until then stays deleted.
pub async fn run_scheduled(app: &App, newest: Option<Day>, now: Timestamp) -> Result<Scheduled, StoreError> {
    let store = &*app.store;
    let events = store.event_days(now.plus(DAY)).await?;
    let evidence = Evidence {
        last_run: store.last_cleaned().await?,
        events: events.map(|days| *days.start()..=newest.map_or(*days.end(), |newest| newest.min(*days.end()))),
        waited: store.waited().await?,
    };
    match decide(&evidence, app.config.retention_days, now) {
        Decision::Run => run(app, now).await.map(Scheduled::Done),
        Decision::Wait(waited) => {
            store.note_waited(Some(waited)).await?;
            let last_run = evidence.last_run.map(tracing::field::display);
            tracing::warn!(
                last_run,
                clock = %now,
                waiting_runs = waited.runs,
                "cleanup waits: by this clock the last run was not within 3 days, and it would delete events that no \
                 earlier run has considered old; if the clock is right, run `cleanup` or POST /cleanup, or wait: after \
                 3 daily runs that waited it deletes",
            );
            Ok(Scheduled::Waits { waiting_runs: waited.runs })
        }
    }
}

/// Corrects what a run with a wrong clock recorded as kept: nothing after `now` can have been
/// deleted, so nothing from today on is left out of answers and recounts.
///
/// # Errors
/// When the store cannot answer.
pub async fn distrust_future(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let today = now.day();
    let Some(kept_since) = store.kept_since().await?.filter(|day| *day > today) else { return Ok(()) };
    let to = store.event_days(now.plus(DAY)).await?.map_or(today, |days| today.min(*days.start()));
    tracing::warn!(%kept_since, corrected = %to, "a cleanup run with a clock that was ahead left its mark; it is corrected");
    store.lower_kept(to).await
}

/// Deletes events of days before the cutoff, aggregates that have outlived their use, expired salts and
/// share links, and sites without data. Running it again, or after a crash, does the rest or nothing.
///
/// # Errors
/// When the store cannot; what was deleted until then stays deleted.
#[tracing::instrument(target = SPANS, name = "cleanup", level = "debug", skip_all)]
pub async fn run(app: &App, now: Timestamp) -> Result<Report, StoreError> {
    let started = Instant::now();
    let cutoff = cutoff(app.config.retention_days, now);
    distrust_future(&*app.store, now).await?;
    // What fails here must not keep events; it is reported when they are deleted.
    let salts = app.identity.destroy_expired(now).await;
    summarise(app, now).await;
    let mut deleted = 0;
    loop {
        let step = app.store.delete_before(cutoff, now).await?;
        deleted += step.deleted;
        app.metrics.cleanup_deleted_events_total.inc_by(step.deleted);
        if step.done {
            break;
        }
    }
    app.store.delete_blocks(BlockKind::Segment, cutoff).await?;
    app.store.delete_not_stored(cutoff).await?;
    let summaries = summaries_cutoff(app.config.summary_months, now);
    for kind in [BlockKind::Totals, BlockKind::Summary] {
        app.store.delete_blocks(kind, summaries).await?;
    }
    app.delete_expired_shares(now).await?;
    salts?;
    app.store.cleaned(now).await?;
    if app.store.waited().await?.is_some() {
        app.store.note_waited(None).await?;
    }
    app.metrics.cleaned(Some(now));
    let report = Report { cutoff, deleted, duration_ms: started.elapsed().as_millis() as u64, last_success: now };
    tracing::info!(cutoff = %report.cutoff, deleted, duration_ms = report.duration_ms, "cleanup done");
    // After the success is recorded: a run that is cut off here has forgotten all that it must.
    match sites::remove_empty(app, now).await {
        Ok(0) => {}
        Ok(sites) => tracing::info!(sites, "sites without data removed"),
        Err(error) => {
            let error = crate::collect::error_text(&error);
            tracing::warn!(error, "not all sites without data could be removed; the next run tries again");
        }
    }
    Ok(report)
}

/// Prepares what is to remain of days before they are deleted. Forgetting never waits for it: each closed
/// day is tried every night, so that what fails tonight was or will be done on another night.
pub async fn summarise(app: &App, now: Timestamp) {
    match app.measure.summarise(&*app.store, now).await {
        Ok(done) if done.failed + done.left == 0 => tracing::info!(days = done.days, "closed days summarised"),
        Ok(done) => tracing::warn!(
            days = done.days,
            left = done.left,
            failed = done.failed,
            "not all closed days could be summarised; the next run goes on"
        ),
        Err(error) => tracing::error!(
            error = crate::collect::error_text(&error),
            "closed days could not be summarised; days that expire now go without a summary if they have none yet"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETENTION: u32 = 90;

    fn now() -> Timestamp {
        Timestamp::parse("2025-12-08T02:00:00Z").unwrap_or_else(|| unreachable!())
    }

    fn ago(days: i64) -> Timestamp {
        now().plus(-days * DAY)
    }

    /// Evidence with events from `oldest` to `newest` days ago.
    fn evidence(last_run: Option<Timestamp>, (oldest, newest): (i64, i64)) -> Evidence {
        Evidence { last_run, events: Some(ago(oldest).day()..=ago(newest).day()), waited: None }
    }

    const fn waits(day: Day, runs: u8) -> Decision {
        Decision::Wait(Waited { day, runs })
    }

    #[test]
    fn a_run_soon_after_the_last_one_goes_ahead() {
        for last in [ago(0), ago(1), ago(3), now().plus(HOUR)] {
            assert_eq!(decide(&evidence(Some(last), (100, 0)), RETENTION, now()), Decision::Run, "{last}");
        }
        for last in [ago(3).plus(-1), ago(4), ago(400), now().plus(HOUR + 1), now().plus(300 * DAY)] {
            let decision = decide(&evidence(Some(last), (100, 0)), RETENTION, now());
            assert_eq!(decision, waits(now().day(), 1), "{last}");
        }
    }

    #[test]
    fn the_first_run_goes_ahead_when_the_events_confirm_the_clock() {
        for (events, decision) in [
            // Nothing to delete: a new site, or an old log just imported.
            ((0, 0), Decision::Run),
            ((90, 60), Decision::Run),
            // Old events, and new ones.
            ((91, 0), Decision::Run),
            ((400, 3), Decision::Run),
            // Everything is old by this clock, or lies ahead of it.
            ((91, 4), waits(now().day(), 1)),
            ((400, 365), waits(now().day(), 1)),
            ((400, -365), waits(now().day(), 1)),
        ] {
            assert_eq!(decide(&evidence(None, events), RETENTION, now()), decision, "{events:?}");
        }
        let nothing = Evidence { last_run: None, events: None, waited: None };
        assert_eq!(decide(&nothing, RETENTION, now()), Decision::Run);
    }

    #[test]
    fn a_clock_that_stays_is_believed_on_the_fourth_day() {
        for days_between in [1, 7, 31] {
            let mut evidence = evidence(Some(ago(100)), (180, 100));
            let mut decisions = Vec::new();
            for run in 0..4 {
                let now = now().plus(run * days_between * DAY);
                // Tried several times a day, it counts once.
                for _ in 0..3 {
                    let decision = decide(&evidence, RETENTION, now);
                    if let Decision::Wait(waited) = decision {
                        evidence.waited = Some(waited);
                    }
                    decisions.push(decision);
                }
            }
            let day = |run: i64| now().plus(run * days_between * DAY).day();
            let expected: Vec<Decision> = (0..3).flat_map(|run| [waits(day(run), run as u8 + 1); 3]).collect();
            assert_eq!(decisions[..9], expected);
            assert_eq!(decisions[9..], [Decision::Run; 3]);
        }
    }

    #[test]
    fn clocks_that_jump_confirm_nothing() {
        let mut evidence = evidence(Some(ago(1)), (90, 0));
        for years in [1, 3, 2, 9, 4] {
            let now = now().plus(years * 365 * DAY);
            let Decision::Wait(waited) = decide(&evidence, RETENTION, now) else { panic!("{years}") };
            assert_eq!(waited, Waited { day: now.day(), runs: 1 });
            evidence.waited = Some(waited);
        }
        // Back again, it goes on as if nothing had been.
        assert_eq!(decide(&evidence, RETENTION, now()), Decision::Run);
    }

    #[test]
    fn waiting_runs_are_one_number() {
        for waited in [Waited { day: now().day(), runs: 3 }, Waited { day: Day::from_number(0), runs: 255 }] {
            assert_eq!(Waited::from_number(waited.to_number()), waited);
        }
    }
}
