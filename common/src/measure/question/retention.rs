//! Retention: how many visitors return in the weeks after their first.

use super::Buckets;
use crate::site::Site;

/// In which weeks visitors return. Only visitors with an explicit id can be recognised on another day.
#[derive(Debug, Clone)]
pub struct Retention {
    /// The site.
    pub site: Site,
    /// The ISO weeks from the first kept event to now, in the question's time zone. A visitor belongs to
    /// the week of its first event that is still kept.
    pub weeks: Buckets,
    /// How many weeks to follow each cohort, its own included; 1 to [`Retention::MOST_WEEKS`].
    pub followed: usize,
}

impl Retention {
    /// The most weeks that a cohort is followed.
    pub const MOST_WEEKS: usize = 53;
}

/// The answer to a [`Retention`]: the cohorts that have visitors, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionAnswer {
    /// The cohorts.
    pub cohorts: Vec<Cohort>,
}

/// The visitors whose first event lies in one week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohort {
    /// The place of the week in the labels of [`Retention::weeks`].
    pub week: usize,
    /// How many visitors it has.
    pub visitors: u64,
    /// How many of them had an event in its own week, the next one, and so on: one number for each
    /// week that has begun, at most [`Retention::followed`].
    pub returned: Vec<u64>,
}
