//! Goals: what a site wants its visitors to do.

use super::Filter;

/// A goal, resolved: an event reaches it if it passes the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// The name that rows show: an event's name, `Visit ` and a page pattern, or a configured name.
    pub name: String,
    /// The events that reach it.
    pub filter: Filter,
}

/// What rows by goal stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goals {
    /// Each of these goals; an event may reach several.
    Configured(Vec<Goal>),
    /// No goal is configured: the name of each custom event, see
    /// [`EventType::Custom`](crate::event_type::EventType::Custom).
    CustomEvents,
}
