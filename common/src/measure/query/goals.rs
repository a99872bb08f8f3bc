//! Goals: names that stand for filters.

use serde_json::Value;

use super::Context;
use super::filters::{Filters, page_form};
use super::input::{Result, refused, suggest};
use crate::event_type::EventType;
use crate::measure::question::filter::fold;
use crate::measure::question::{Dimension, Field, Filter, Goal, Goals, Leaf, Pattern};

/// What the name of a goal about pages starts with.
const VISIT: &str = "Visit ";
/// The most characters of a goal's name.
const LONGEST_NAME: usize = 200;

impl Goal {
    /// The goal that is its own name: an event's name, or `Visit ` and a page pattern in which `*` stands
    /// for any characters.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name.strip_prefix(VISIT).map(str::trim).filter(|page| page.starts_with(['/', '*'])) {
            Some(page) => Self::page(page),
            None => Self::event(name),
        }
    }

    /// The goal that is the name of an event.
    #[must_use]
    pub fn event(name: &str) -> Option<Self> {
        let event = EventType::parse(name).filter(|_| name.chars().count() <= LONGEST_NAME)?;
        Some(Self { name: event.name().to_owned(), filter: Filter::Leaf(is(Field::EventName, event.name())) })
    }

    /// The goal that is a view of a page, or of all that a pattern matches in which `*` stands for any
    /// characters.
    #[must_use]
    pub fn page(page: &str) -> Option<Self> {
        if !page.starts_with(['/', '*']) || VISIT.len() + page.chars().count() > LONGEST_NAME {
            return None;
        }
        let (name, page) = if page.contains('*') {
            (page.to_owned(), Leaf::matches(Dimension::Field(Field::Page), vec![Pattern::wildcard(page)?]))
        } else {
            let page = page_form(page);
            let leaf = is(Field::Page, &page);
            (page, leaf)
        };
        let view = is(Field::EventName, EventType::PageView.name());
        let filter = Filter::And(vec![Filter::Leaf(view), Filter::Leaf(page)]);
        Some(Self { name: format!("{VISIT}{name}"), filter })
    }

    /// A goal with a name of its own and a filter, as in a query.
    ///
    /// # Errors
    /// `INVALID_QUERY` if the name is empty or too long, or the filter is none, or has a goal in it.
    pub fn configured(name: &str, filter: &Value) -> Result<Self> {
        let context = Context::at(crate::time::Timestamp::from_millis(0));
        let parsed = Filters::new(&context).one(filter, "filter", 1)?;
        if parsed.about.has_goal() {
            return Err(refused("the filter of a goal cannot refer to another goal"));
        }
        Self::named(name, parsed.filter)
    }

    /// A goal with a name of its own.
    ///
    /// # Errors
    /// `INVALID_QUERY` if the name is empty or too long.
    pub fn named(name: &str, filter: Filter) -> Result<Self> {
        if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(refused(format!("a goal's name must have 1 to {LONGEST_NAME} characters")));
        }
        Ok(Self { name: name.to_owned(), filter })
    }
}

fn is(field: Field, value: &str) -> Leaf {
    Leaf::is(Dimension::Field(field), vec![value.to_owned()], true)
}

/// The goals of these names: configured ones, names of events, page patterns.
pub(super) fn named(names: &[String], case_sensitive: bool, place: &str, context: &Context<'_>) -> Result<Vec<Goal>> {
    let same = |a: &str, b: &str| if case_sensitive { a == b } else { fold(a) == fold(b) };
    let mut goals = Vec::new();
    for name in names {
        let before = goals.len();
        goals.extend(context.goals.iter().filter(|goal| same(&goal.name, name)).cloned());
        if goals.len() == before {
            goals.push(Goal::parse(name).ok_or_else(|| {
                let configured = context.goals.iter().map(|goal| goal.name.as_str());
                let hint = suggest(name, configured.chain(["Visit /path*", "an event's name"]));
                refused(format!("{place} has a goal that does not exist{hint}"))
            })?);
        }
    }
    Ok(goals)
}

/// The configured goals with one of these texts in their name; without any configured goal, an event
/// with one of them in its name is one.
pub(super) fn containing(texts: &[String], case_sensitive: bool, context: &Context<'_>) -> Vec<Goal> {
    let name = Leaf::contains(Dimension::Field(Field::EventName), texts.to_vec(), case_sensitive);
    if context.goals.is_empty() {
        return vec![Goal { name: String::new(), filter: Filter::Leaf(name) }];
    }
    context.goals.iter().filter(|goal| name.passes(&goal.name)).cloned().collect()
}

/// What rows by goal stand for.
pub(super) fn rows(context: &Context<'_>) -> Goals {
    if context.goals.is_empty() { Goals::CustomEvents } else { Goals::Configured(context.goals.to_vec()) }
}

/// Whether a goal is reached by reports, which are no events otherwise.
pub(super) fn is_report(name: &str) -> bool {
    [EventType::Scroll, EventType::Hover].iter().any(|report| report.name() == name)
}
