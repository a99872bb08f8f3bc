//! The figures that must be right in the very next answer.

use std::ops::{AddAssign, Range};

use async_trait::async_trait;

use super::Result;
use crate::cv;
use crate::event::Event;
use crate::event_type::EventType;
use crate::period::PeriodKey;
use crate::site::Site;
use crate::time::{Day, Timestamp};

/// What happens now, and has happened today.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Realtime {
    /// Distinct visitors whose latest event is younger than the window. Events that lie ahead
    /// of the clock, as far as senders' clocks may, count as young.
    pub current_visitors: u64,
    /// Distinct visitors of today.
    pub unique_today: u64,
    /// Events of today.
    pub total_events: u64,
    /// Letters of today.
    pub letters_today: u64,
}

/// The figures of one period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// All events.
    pub events: u64,
    /// Page views.
    pub page_views: u64,
    /// Letters of either type, or of none.
    pub letters: u64,
    /// Letters of type `motivation`.
    pub motivation: u64,
    /// Letters of type `anti_motivation`.
    pub anti_motivation: u64,
    /// Distinct visitors.
    pub visitors: u64,
}

impl Totals {
    /// What one event adds, its visitor apart.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let letter_type = cv::letter_type(event);
        Self {
            events: 1,
            page_views: u64::from(event.event_type == EventType::PageView),
            letters: u64::from(event.event_type == EventType::LetterGenerate),
            motivation: u64::from(letter_type == Some("motivation")),
            anti_motivation: u64::from(letter_type == Some("anti_motivation")),
            visitors: 0,
        }
    }

    /// Letters by distinct visitors; 0 when there are none.
    #[must_use]
    pub fn conversion_rate(&self) -> f64 {
        if self.visitors == 0 { 0.0 } else { self.letters as f64 / self.visitors as f64 }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.page_views += other.page_views;
        self.letters += other.letters;
        self.motivation += other.motivation;
        self.anti_motivation += other.anti_motivation;
        self.visitors += other.visitors;
    }
}

/// Totals of each site's days, ISO weeks and months, and who is there now. They change together with
/// the events, and are exact.
#[async_trait]
pub trait LiveTotals {
    /// What happens on a site: today is the day of `now`, and current is whose latest event lies
    /// after `now` minus `window` milliseconds (at most an hour), and at most
    /// [`MAX_CLOCK_SKEW`](crate::event::MAX_CLOCK_SKEW) ahead of `now`.
    async fn realtime(&self, site: &Site, now: Timestamp, window: i64) -> Result<Realtime>;

    /// The figures of a period.
    async fn totals(&self, site: &Site, period: PeriodKey) -> Result<Totals>;

    /// The totals of each day of the range, days without events included, oldest first.
    async fn daily(&self, site: &Site, days: Range<Day>) -> Result<Vec<(Day, Totals)>>;
}
