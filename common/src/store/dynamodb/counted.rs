//! What one event changes, as actions of a transaction: its own items, and everything that is
//! counted from it. The same for every event, whatever came before, but for what is known.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::draft::{Action, Change, Condition};
use super::item::{number, text, ttl};
use super::keys::{self, Key, Kind};
use super::knowledge::{Known, Question};
use super::stored::{self, NUMBERED};
use crate::event::Event;
use crate::site::Site;
use crate::store::Position;
use crate::tally::{Click, Dimension, MOST_VALUES, OTHER, Tally};
use crate::time::{DAY, Day, HOUR, SECOND, Timestamp};

/// Totals and values serve their week and month for so many days.
const LONG: i32 = 400;
/// Click cells are asked for 168 hours back at most, and so many days begin within these.
const CLICK_DAYS: i32 = 9;
/// How long a claim to recount a day's figures holds, in milliseconds: 10 minutes.
pub(super) const LOCK: i64 = 600 * SECOND;

/// Names of totals. A built-in event type is `e` and its number.
pub(super) mod name {
    /// All events.
    pub(in super::super) const EVENTS: &str = "n";
    /// Letters of type `motivation`.
    pub(in super::super) const MOTIVATION: &str = "lm";
    /// Letters of type `anti_motivation`.
    pub(in super::super) const ANTI_MOTIVATION: &str = "la";
    /// Visitors new to the day.
    pub(in super::super) const DAY_VISITORS: &str = "vd";
    /// Visitors new to the day's week.
    pub(in super::super) const WEEK_VISITORS: &str = "vw";
    /// Visitors new to the day's month.
    pub(in super::super) const MONTH_VISITORS: &str = "vm";
}

/// Where one event is counted in the totals of its day, and under what.
pub(super) fn in_totals(dimension: Dimension, value: &str) -> Option<String> {
    match dimension {
        Dimension::All => Some(name::EVENTS.to_owned()),
        Dimension::LetterType if value == "motivation" => Some(name::MOTIVATION.to_owned()),
        Dimension::LetterType => Some(name::ANTI_MOTIVATION.to_owned()),
        Dimension::EventType => {
            NUMBERED.iter().position(|numbered| numbered.name() == value).map(|at| format!("e{at}"))
        }
        Dimension::Theme | Dimension::Visitors => None,
    }
}

/// When the totals and values of a day may go.
pub(super) fn totals_ttl(day: Day) -> (String, aws_sdk_dynamodb::types::AttributeValue) {
    ttl(day.plus(LONG).start())
}

/// When the click cells and targets of a day may go.
pub(super) fn clicks_ttl(day: Day) -> (String, aws_sdk_dynamodb::types::AttributeValue) {
    ttl(day.plus(CLICK_DAYS + 1).start())
}

/// When the days of a visitor who last came on this one may go.
pub(super) fn visitor_ttl(last: Day, retention: i64) -> (String, aws_sdk_dynamodb::types::AttributeValue) {
    // The month lasts at most 30 days longer, and its last week tells until a week later.
    ttl(last.start().plus((30 + 7 + retention + 1) * DAY))
}

/// An event on its way.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) event: Event,
    pub(super) now: Timestamp,
    pub(super) position: Position,
    tally: Tally,
}

/// What an event changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) actions: Vec<(Key, Action)>,
    /// What will be known of items when the changes are made.
    pub(super) known: HashMap<Key, Known>,
    pub(super) new_visitor: bool,
    /// The sort key under which the event has to be listed by its position.
    pub(super) listed: Option<String>,
}

/// Why it cannot be said what an event changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unclear {
    /// Its questions have to be asked first.
    Unknown,
    /// Its site would be one too many.
    TooManySites,
}

/// What the changes depend on besides the event.
pub(super) struct Context<'a> {
    /// What is known of an item.
    pub(super) known: &'a dyn Fn(&Key) -> Option<Known>,
    /// Which of the shards of counters is used.
    pub(super) shard: u8,
    /// Days that events are kept.
    pub(super) retention: i64,
}

impl Entry {
    pub(super) fn new(event: Event, now: Timestamp, position: Position) -> Self {
        Self { tally: Tally::of(&event), event, now, position }
    }

    fn site(&self) -> &Site {
        &self.event.site
    }

    fn day(&self) -> Day {
        self.event.created_at.day()
    }

    /// Values that have an item of their own.
    fn values(&self) -> impl Iterator<Item = (Dimension, &str)> {
        let counters = self.tally.counters.iter().flatten();
        counters
            .filter(|(dimension, value)| in_totals(*dimension, value).is_none())
            .map(|(dimension, value)| (*dimension, value.as_ref()))
    }

    /// What has to be known before it can be said what the event changes.
    pub(super) fn questions(&self, into: &mut BTreeSet<(Key, Question)>) {
        let (site, day) = (self.site(), self.day());
        into.insert((keys::site(site), Question::There));
        into.insert((keys::site_count(), Question::Count));
        into.insert((keys::visitor(site, self.event.visitor), Question::Days));
        for (dimension, value) in self.values() {
            into.insert((keys::value(site, dimension, day, 0, value), Question::There));
            into.insert((keys::head(site, Kind::Values(dimension), day), Question::Count));
        }
        if let Some(click) = &self.tally.click {
            into.insert((keys::target(site, day, &click.page, &click.element), Question::There));
            into.insert((keys::head(site, Kind::Targets, day), Question::Count));
        }
    }

    /// What the event changes.
    pub(super) fn changes(&self, context: &Context<'_>) -> Result<Changes, Unclear> {
        let mut changes = Changes::default();
        self.add_site(context, &mut changes)?;
        self.add_items(context, &mut changes);
        let mut totals = Change::when(Condition::Open(self.now.plus(-LOCK).millis()));
        for (dimension, value) in self.tally.counters.iter().flatten() {
            if let Some(name) = in_totals(*dimension, value) {
                totals = totals.add(name, 1);
            }
        }
        totals = self.add_visit(context, &mut changes, totals)?.set(totals_ttl(self.day()));
        changes.actions.push((keys::totals_of(self.site(), self.day(), context.shard), Action::Change(totals)));
        for (dimension, value) in self.values() {
            self.add_value(context, &mut changes, dimension, value)?;
        }
        if let Some(click) = &self.tally.click {
            self.add_click(context, &mut changes, click)?;
        }
        Ok(changes)
    }

    fn add_site(&self, context: &Context<'_>, changes: &mut Changes) -> Result<(), Unclear> {
        let key = keys::site(self.site());
        match (context.known)(&key) {
            Some(Known::There(true)) => return Ok(()),
            Some(Known::There(false)) => {}
            _ => return Err(Unclear::Unknown),
        }
        let Some(Known::Count(sites)) = (context.known)(&keys::site_count()) else { return Err(Unclear::Unknown) };
        if sites >= Site::MOST as u64 {
            return Err(Unclear::TooManySites);
        }
        changes.actions.push((key.clone(), Action::Put { item: key.attributes(), new: true }));
        let count = Change::when(Condition::Room(Site::MOST as u64)).add("n", 1);
        changes.actions.push((keys::site_count(), Action::Change(count)));
        changes.known.insert(key, Known::There(true));
        changes.known.insert(keys::site_count(), Known::Count(sites + 1));
        Ok(())
    }

    fn add_items(&self, context: &Context<'_>, changes: &mut Changes) {
        let items = stored::items(&self.event, self.position, context.retention);
        for (at, (key, item)) in items.into_iter().enumerate() {
            let committed = super::positions::time_of(self.position);
            if stored::is_event(&item)
                && keys::read_event(&key.sk).is_none_or(|(time, _)| (time - committed).abs() > keys::SKEW)
            {
                changes.listed = Some(key.sk.clone());
            }
            // The first is the one that its id leads to.
            changes.actions.push((key, Action::Put { item, new: at == 0 }));
        }
    }

    fn add_visit(&self, context: &Context<'_>, changes: &mut Changes, mut totals: Change) -> Result<Change, Unclear> {
        let (site, at) = (self.site(), self.event.created_at);
        let key = keys::visitor(site, self.event.visitor);
        let Some(Known::Days(days)) = (context.known)(&key) else { return Err(Unclear::Unknown) };
        if let Some(mut visit) = days.visit(self.day()) {
            changes.new_visitor = true;
            let new = [true, visit.new_in_week, visit.new_in_month];
            for (name, new) in [name::DAY_VISITORS, name::WEEK_VISITORS, name::MONTH_VISITORS].into_iter().zip(new) {
                if new {
                    totals = totals.add(name, 1);
                }
            }
            let were = visit.were.iter().map(|(month, was)| (keys::month(*month), was.map(number))).collect();
            let last = visit.days.last().unwrap_or(self.day());
            let mut change = Change::when(Condition::Was(were)).set(visitor_ttl(last, context.retention));
            let kept = self.now.day().min(self.day()).plus(-7 - context.retention as i32);
            for month in
                visit.days.forget_before(crate::period::PeriodKey::of(crate::period::Period::Month, kept).first_day())
            {
                change.remove.insert(keys::month(month));
            }
            let month = visit.were[0].0;
            if let Some(bits) = visit.days.month(month) {
                change = change.set((keys::month(month), number(bits)));
            }
            changes.actions.push((key.clone(), Action::Change(change)));
            changes.known.insert(key, Known::Days(visit.days));
        }
        // What is older can make nobody current any more: the widest window is an hour.
        let present = keys::present(site, keys::slot(at), self.event.visitor);
        if at > self.now.plus(-HOUR - keys::SLOT) && (context.known)(&present).is_none() {
            let mut item = present.attributes();
            item.extend([ttl(at.plus(2 * HOUR))]);
            changes.actions.push((present.clone(), Action::Put { item, new: false }));
            changes.known.insert(present, Known::There(true));
        }
        Ok(totals)
    }

    /// Whether a day counts something by its own name: it does already, or has room for it.
    /// What is new to the day takes a place there.
    fn has_place(&self, context: &Context<'_>, changes: &mut Changes, kind: Kind, key: &Key) -> Result<Place, Unclear> {
        match (context.known)(key) {
            Some(Known::There(true)) => return Ok(Place::Taken),
            Some(Known::There(false)) => {}
            _ => return Err(Unclear::Unknown),
        }
        let head = keys::head(self.site(), kind, self.day());
        let Some(Known::Count(count)) = (context.known)(&head) else { return Err(Unclear::Unknown) };
        if count >= MOST_VALUES as u64 {
            return Ok(Place::None);
        }
        let gone = totals_ttl(self.day());
        let change = Change::when(Condition::Room(MOST_VALUES as u64)).add("n", 1).set(gone);
        changes.actions.push((head.clone(), Action::Change(change)));
        changes.known.insert(head, Known::Count(count + 1));
        changes.known.insert(key.clone(), Known::There(true));
        Ok(Place::New)
    }

    fn add_value(
        &self,
        context: &Context<'_>,
        changes: &mut Changes,
        dimension: Dimension,
        value: &str,
    ) -> Result<(), Unclear> {
        let (site, day) = (self.site(), self.day());
        // The item of the first shard says that the value is there, so it is the first to come.
        let first = keys::value(site, dimension, day, 0, value);
        let place = match value {
            OTHER => Place::None,
            _ => self.has_place(context, changes, Kind::Values(dimension), &first)?,
        };
        let (key, condition) = match place {
            Place::New => (first, Condition::New),
            Place::Taken => (keys::value(site, dimension, day, context.shard, value), Condition::None),
            Place::None => (keys::value(site, dimension, day, context.shard, OTHER), Condition::None),
        };
        let change = Change::when(condition).add("n", 1).set(totals_ttl(day));
        changes.actions.push((key, Action::Change(change)));
        Ok(())
    }

    fn add_click(&self, context: &Context<'_>, changes: &mut Changes, click: &Click) -> Result<(), Unclear> {
        let (site, day) = (self.site(), self.day());
        let target = keys::target(site, day, &click.page, &click.element);
        let gone = clicks_ttl(day);
        let click = match self.has_place(context, changes, Kind::Targets, &target)? {
            Place::New => {
                let mut item = target.attributes();
                item.extend([gone.clone()]);
                changes.actions.push((target, Action::Put { item, new: true }));
                click.clone()
            }
            Place::Taken => click.clone(),
            Place::None => Click { page: OTHER.to_owned(), element: String::new(), ..*click },
        };
        let cell = Change::when(Condition::None).add("n", 1).set(gone);
        let cell = cell_fields(&click).into_iter().fold(cell, Change::set);
        changes.actions.push((keys::click(site, self.event.created_at.hour(), &click), Action::Change(cell)));
        Ok(())
    }

    /// The id that tells it from all others of its site.
    pub(super) const fn id(&self) -> Uuid {
        self.event.id
    }
}

/// What a click cell says of its place.
pub(super) fn cell_fields(click: &Click) -> Vec<(String, aws_sdk_dynamodb::types::AttributeValue)> {
    vec![
        ("page".to_owned(), text(&click.page)),
        ("el".to_owned(), text(&click.element)),
        ("x".to_owned(), number(click.x)),
        ("y".to_owned(), number(click.y)),
    ]
}

/// Whether there is a place for a value of its own.
enum Place {
    Taken,
    New,
    None,
}
