//! What happens by the clock: the retention run once a day, expired salts and counters of what was not
//! stored all the time.

use std::time::Duration;

use common::App;
use common::collect::error_text;
use common::retention;
use common::store::StoreError;
use common::time::{DAY, Day, HOUR, SECOND, Timestamp};
use prometheus::IntGauge;
use tokio_util::sync::CancellationToken;

use crate::store_health::gauge;

/// How often expired salts are destroyed, in milliseconds: 5 minutes.
const SALTS_EVERY: i64 = 300 * SECOND;
/// How often the days that wait to be summarised are counted, in milliseconds: one hour. It reads the totals of
/// all days and sites.
const BACKLOG_EVERY: i64 = HOUR;
/// How long after the start a missed retention run is made up for: 10 s.
const SHORTLY: i64 = 10 * SECOND;
/// How long after a failed retention run it is tried again: 10 minutes.
const TRY_AGAIN: i64 = 600 * SECOND;
/// How often what was not stored is added to the store's counters: a kill loses no more than this.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// The longest sleep: the system's clock may be set, or the machine put to sleep, meanwhile.
const LONGEST_SLEEP: i64 = 60 * SECOND;

/// The first instant after `now` at which the UTC clock shows this hour and minute.
#[must_use]
pub(crate) fn next_run(now: Timestamp, (hour, minute): (u8, u8)) -> Timestamp {
    let of_day = (i64::from(hour) * 60 + i64::from(minute)) * 60 * SECOND;
    let today = now.day().start().plus(of_day);
    if today > now { today } else { today.plus(DAY) }
}

/// When the next retention run is due.
#[derive(Debug)]
struct Schedule {
    at: (u8, u8),
    due: Timestamp,
}

impl Schedule {
    fn new(now: Timestamp, at: (u8, u8)) -> Self {
        Self { at, due: next_run(now, at) }
    }

    /// Makes a run due no later than at this instant.
    fn hurry(&mut self, to: Timestamp) {
        self.due = self.due.min(to);
    }

    /// Whether a run is due. When the system's clock is set back by more than an hour, what
    /// was planned by the wrong clock is planned anew.
    fn is_due(&mut self, now: Timestamp) -> bool {
        if self.due > now.plus(DAY + HOUR) {
            self.due = next_run(now, self.at);
        }
        now >= self.due
    }

    /// Plans the next run after one that was due. It lies after that one, too: a timer that
    /// woke a little too early, or a clock that was set back a little, cannot fire twice.
    fn done(&mut self, now: Timestamp) {
        self.due = next_run(now.max(self.due), self.at);
    }
}

/// Runs what is due until `stop` is cancelled.
pub(crate) async fn keep_time(app: App, stop: CancellationToken) {
    let start = app.now();
    // Before this process stores events: those that it dates itself cannot confirm its clock.
    let newest = newest_event(&app, start).await;
    let salts_destroyed = gauge(
        &app,
        "salts_destroyed_timestamp_seconds",
        "When no expired salt was last known to be left, Unix time; 0 before the first time",
    );
    let backlog =
        gauge(&app, "segment_backlog_days", "Closed days of sites that wait to be given a segment and a summary");
    let (mut salts_due, mut backlog_due) = (start, start);
    let mut schedule = Schedule::new(start, app.config.cleanup_at);
    if missed_run(&app, start).await {
        schedule.hurry(start.plus(SHORTLY));
    }
    loop {
        let now = app.now();
        salts_due = salts_due.min(now.plus(SALTS_EVERY));
        if now >= salts_due {
            if destroy_salts(&app, now).await {
                salts_destroyed.set(now.seconds());
            }
            correct_marks(&app, now).await;
            salts_due = now.plus(SALTS_EVERY);
        }
        if schedule.is_due(now) {
            let done = clean_up(&app, newest, now).await;
            schedule.done(now);
            backlog_due = now;
            match done {
                Ok(true) => {}
                // Another process is at it, and may die: then this one does it.
                Ok(false) => schedule.hurry(now.plus(TRY_AGAIN)),
                Err(error) => {
                    tracing::error!(error = error_text(&error), "cleanup failed; it is tried again in 10 minutes");
                    schedule.hurry(now.plus(TRY_AGAIN));
                }
            }
        }
        backlog_due = backlog_due.min(now.plus(BACKLOG_EVERY));
        if now >= backlog_due {
            count_backlog(&app, &backlog, now).await;
            backlog_due = now.plus(BACKLOG_EVERY);
        }
        let until = schedule.due.min(salts_due).min(backlog_due).millis() - app.now().millis();
        let sleep = Duration::from_millis(until.clamp(1, LONGEST_SLEEP).unsigned_abs());
        if stop.run_until_cancelled(tokio::time::sleep(sleep)).await.is_none() {
            return;
        }
    }
}

/// Adds what was not stored to the store's counters until `stop` is cancelled.
pub(crate) async fn count_not_stored(app: App, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(COUNT_EVERY)).await.is_some() {
        app.count_not_stored().await;
    }
}

/// The day's retention run, unless another process on the same store does it. Answers whether
/// the day needs no further attempt: it is done, or waits because the clock cannot be trusted.
async fn clean_up(app: &App, newest: Option<Day>, now: Timestamp) -> Result<bool, StoreError> {
    if app.store.claim_cleanup(now).await? {
        retention::run_scheduled(app, newest, now).await?;
        return Ok(true);
    }
    let last = app.store.last_cleaned().await?;
    app.metrics.cleaned(last);
    Ok(last.is_some_and(|last| last.day() == now.day()))
}

/// The day of the newest event that earlier processes stored; the day 0 when there are none.
async fn newest_event(app: &App, now: Timestamp) -> Option<Day> {
    match app.store.event_days(now.plus(DAY)).await {
        Ok(days) => Some(days.map_or(Day::from_number(0), |days| *days.end())),
        Err(error) => {
            tracing::error!(error = error_text(&error), "the day of the newest event could not be read");
            Some(Day::from_number(0))
        }
    }
}

async fn correct_marks(app: &App, now: Timestamp) {
    if let Err(error) = retention::distrust_future(&*app.store, now).await {
        tracing::error!(error = error_text(&error), "what is recorded as kept could not be read");
    }
}

/// Whether there are events, and no retention run has succeeded for a day.
async fn missed_run(app: &App, now: Timestamp) -> bool {
    let missed = async {
        let last = app.store.last_cleaned().await?;
        app.metrics.cleaned(last);
        let recent = last.is_some_and(|last| (-HOUR..DAY).contains(&(now.millis() - last.millis())));
        Ok::<_, StoreError>(!recent && !app.store.sites().await?.is_empty())
    };
    missed.await.unwrap_or_else(|error| {
        tracing::error!(error = error_text(&error), "cannot tell when cleanup last ran");
        false
    })
}

/// Answers whether no expired salt is left.
async fn destroy_salts(app: &App, now: Timestamp) -> bool {
    match app.identity.destroy_expired(now).await {
        Ok(0) => true,
        Ok(salts) => {
            tracing::info!(salts, "expired salts destroyed");
            true
        }
        Err(error) => {
            tracing::error!(error = error_text(&error), "expired salts could not be destroyed");
            false
        }
    }
}

async fn count_backlog(app: &App, backlog: &IntGauge, now: Timestamp) {
    match app.measure.backlog(&*app.store, now).await {
        Ok(days) => backlog.set(i64::try_from(days.len()).unwrap_or(i64::MAX)),
        Err(error) => tracing::error!(error = error_text(&error), "the days to summarise could not be counted"),
    }
}

#[cfg(test)]
mod tests {
    use common::source::Fixed;

    use super::*;
    use crate::testing;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// What a gauge shows.
    fn shown(app: &App, name: &str) -> Option<i64> {
        let text = app.metrics.text().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("maicivy_{name} ")));
        line.and_then(|value| value.parse().ok())
    }

    #[test]
    fn the_next_run_is_always_ahead() {
        let next = |now: &str| next_run(at(now), (2, 30)).to_string();
        assert_eq!(next("2025-12-08T02:29:59.999Z"), "2025-12-08T02:30:00.000Z");
        assert_eq!(next("2025-12-08T02:30:00Z"), "2025-12-09T02:30:00.000Z");
        assert_eq!(next("2025-12-31T23:00:00Z"), "2026-01-01T02:30:00.000Z");
        assert_eq!(next("2024-02-28T03:00:00Z"), "2024-02-29T02:30:00.000Z");
        assert_eq!(next_run(at("2025-12-08T00:00:00Z"), (0, 0)), at("2025-12-09T00:00:00Z"));
    }

    /// The earlier service fired twice a day after the first night.
    #[test]
    fn cleanup_is_due_once_a_day_however_the_timer_wakes() {
        let start = at("2025-12-08T12:00:00Z");
        // Milliseconds between two looks at the clock; the last clock is set back after each run.
        for (step, back) in [(1_000, 0), (60_000, 0), (59_999, 0), (7_777, 0), (1_000, 5_000), (1_000, 1_800_000)] {
            let mut schedule = Schedule::new(start, (2, 0));
            let mut runs = Vec::new();
            let mut now = start;
            while now < at("2025-12-13T12:00:00Z") {
                if schedule.is_due(now) {
                    runs.push(now);
                    schedule.done(now);
                    now = now.plus(-back);
                }
                now = now.plus(step);
            }
            let days: Vec<String> = runs.iter().map(|run| run.day().to_string()).collect();
            assert_eq!(days, ["2025-12-09", "2025-12-10", "2025-12-11", "2025-12-12", "2025-12-13"], "{step} {back}");
            for run in runs {
                let late = run.millis() - next_run(run.day().start(), (2, 0)).millis();
                assert!((0..step).contains(&late), "{run}");
            }
        }
    }

    #[test]
    fn a_clock_that_was_years_ahead_does_not_stop_cleanup() {
        let mut schedule = Schedule::new(at("2031-01-01T00:00:00Z"), (2, 0));
        assert!(!schedule.is_due(at("2025-12-08T12:00:00Z")));
        assert!(schedule.is_due(at("2025-12-09T02:00:00Z")));
    }

    #[tokio::test(start_paused = true)]
    async fn cleanup_runs_when_it_is_due() {
        let clock = Fixed::at(at("2025-12-08T01:59:00Z"));
        let (app, _files) = testing::app_with(&[], clock.clone()).await;
        let stop = CancellationToken::new();
        let timer = tokio::spawn(keep_time(app.clone(), stop.clone()));
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(app.store.last_cleaned().await.unwrap(), None);
        let due = at("2025-12-08T02:00:00.007Z");
        clock.set(due);
        // The store's threads live in real time, which asking them lets pass.
        for _ in 0..100_000 {
            if app.store.last_cleaned().await.unwrap().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(app.store.last_cleaned().await.unwrap(), Some(due));
        stop.cancel();
        timer.await.unwrap();
    }

    /// A year ahead at the start, with events that arrive before the run does.
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_wrong_deletes_nothing() {
        let right = at("2025-12-08T02:00:00Z");
        let clock = Fixed::at(right);
        let (app, _files) = testing::app_with(&[], clock.clone()).await;
        testing::append(&app, "default", 3).await;
        app.store.cleaned(right).await.unwrap();
        clock.set(right.plus(365 * DAY));
        let stop = CancellationToken::new();
        let timer = tokio::spawn(keep_time(app.clone(), stop.clone()));
        testing::append(&app, "default", 1).await;
        clock.set(right.plus(365 * DAY + SHORTLY));
        let mut waited = None;
        for _ in 0..100_000 {
            waited = app.store.waited().await.unwrap();
            if waited.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(waited.map(|waited| waited.runs), Some(1));
        assert_eq!(app.store.last_cleaned().await.unwrap(), Some(right));
        assert_eq!(app.store.event_days(app.now()).await.unwrap().map(|days| *days.start()), Some(right.day()));
        stop.cancel();
        timer.await.unwrap();
    }

    /// Days that are over wait until the nightly run; salts are known to be destroyed from the start on.
    #[tokio::test(start_paused = true)]
    async fn what_is_behind_is_counted() {
        let stored = at("2025-12-08T12:00:00Z");
        let clock = Fixed::at(stored);
        let (app, _files) = testing::app_with(&[], clock.clone()).await;
        testing::append(&app, "a", 2).await;
        testing::append(&app, "b", 1).await;
        let start = at("2025-12-11T01:00:00Z");
        clock.set(start);
        let stop = CancellationToken::new();
        let timer = tokio::spawn(keep_time(app.clone(), stop.clone()));
        let value = |name| shown(&app, name);
        // A missed run is due shortly after the start: until then both days wait.
        for (now, backlog) in [(start, 2), (start.plus(SHORTLY), 0)] {
            clock.set(now);
            for _ in 0..100_000 {
                if value("segment_backlog_days") == Some(backlog) {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            assert_eq!(value("segment_backlog_days"), Some(backlog));
        }
        assert_eq!(value("salts_destroyed_timestamp_seconds"), Some(start.seconds()));
        stop.cancel();
        timer.await.unwrap();
    }

    /// The alert `MaicivySaltsOverdue` compares the time that it shows with now.
    #[tokio::test(start_paused = true)]
    async fn salts_that_cannot_be_destroyed_are_not_said_to_be() {
        let (app, _files) = testing::app_with(&[], Fixed::at(at("2025-12-08T12:00:00Z"))).await;
        app.store.close().await;
        let stop = CancellationToken::new();
        let timer = tokio::spawn(keep_time(app.clone(), stop.clone()));
        // It waits for nothing but the time: several attempts have failed.
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(shown(&app, "salts_destroyed_timestamp_seconds"), Some(0));
        stop.cancel();
        timer.await.unwrap();
    }

    #[tokio::test]
    async fn a_missed_run_is_made_up_for_when_there_are_events() {
        for (events, last, missed) in [
            (0, None, false),
            (1, None, true),
            (1, Some(25), true),
            (1, Some(23), false),
            // Recorded by a clock that was ahead.
            (1, Some(-24 * 365), true),
        ] {
            let now = at("2025-12-08T12:00:00Z");
            let (app, _files) = testing::app_with(&[], Fixed::at(now)).await;
            testing::append(&app, "default", events).await;
            if let Some(hours) = last {
                app.store.cleaned(now.plus(-hours * HOUR)).await.unwrap();
            }
            assert_eq!(missed_run(&app, now).await, missed, "{events} {last:?}");
        }
    }
}
