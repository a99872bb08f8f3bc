//! Facts about the store as a whole: what is kept, who cleans up, which process is which.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::client::{Tables, Units};
use super::errors::{Failure, unavailable};
use super::item::{Item, number, read_number};
use super::keys::{Key, META};
use crate::period::{Period, PeriodKey};
use crate::store::{CLAIM, Result, Waited};
use crate::time::{Day, Timestamp};

/// Day counters live as long as events, and at least this long.
const DAY_COUNTERS: i32 = 90;
/// Week and month counters live at least this long.
const LONG_COUNTERS: i32 = 365;
/// How long what is kept is believed; it moves on by a day, once a day.
const BELIEVED: Duration = Duration::from_secs(60);

/// What cleanup has left. Days move forward, unless a wrong clock had moved them ahead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// The first day whose events are kept; before the first cleanup there is none.
    pub(super) events: Option<Day>,
    /// The first day that has figures of its own.
    pub(super) days: Option<Day>,
    /// The first day on which a week or month that has figures may begin.
    pub(super) long: Option<Day>,
}

impl Kept {
    const NAMES: [&str; 3] = ["k", "d", "l"];

    /// The same, with nothing after this day.
    fn lowered(self, to: Day) -> Self {
        Self::of(self.fields().map(|day| day.map(|day| day.min(to))))
    }

    /// What a cleanup leaves.
    pub(super) fn after(cutoff: Day, now: Timestamp) -> Self {
        let bound = |days: i32| Some(cutoff.min(now.day().plus(-days)));
        Self { events: Some(cutoff), days: bound(DAY_COUNTERS), long: bound(LONG_COUNTERS) }
    }

    fn fields(self) -> [Option<Day>; 3] {
        [self.events, self.days, self.long]
    }

    fn of([events, days, long]: [Option<Day>; 3]) -> Self {
        Self { events, days, long }
    }

    fn later(self, other: Self) -> Self {
        let (ours, theirs) = (self.fields(), other.fields());
        Self::of([0, 1, 2].map(|at| ours[at].max(theirs[at])))
    }

    fn read(item: Option<&Item>) -> Self {
        let day = |name| item.and_then(|item| read_number(item, name)).map(Day::from_number);
        Self::of(Self::NAMES.map(day))
    }

    /// What can be recounted: of days before the retention the service may have deleted events
    /// by itself, whether or not a cleanup has said so.
    pub(super) fn covered(self, now: Timestamp, retention: i64) -> Self {
        let first = now.day().plus(-i32::try_from(retention).unwrap_or(i32::MAX));
        Self { events: self.events.max(Some(first)), ..self }
    }

    /// Whether a period still has figures.
    pub(super) fn has(self, period: PeriodKey) -> bool {
        let first = if period.period() == Period::Day { self.days } else { self.long };
        first.is_none_or(|first| period.first_day() >= first)
    }

    /// Whether the event of this instant is kept.
    pub(super) fn has_events_of(self, at: Timestamp) -> bool {
        self.events.is_none_or(|first| at.day() >= first)
    }
}

/// What is kept, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct KnownKept(Mutex<Option<(Instant, Kept)>>);

impl KnownKept {
    /// What is kept, asked for at most once in a while.
    pub(super) async fn get(&self, tables: &Tables) -> Result<Kept> {
        tables.opened()?;
        if let Some((at, kept)) = *self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && at.elapsed() < BELIEVED
        {
            return Ok(kept);
        }
        let asked = Instant::now();
        // Consistent, because it may have moved back: what is known is no lower bound.
        let kept = Kept::read(tables.get(&kept_key(), true).await?.as_ref());
        Ok(self.learn(asked, kept))
    }

    /// Remembers what was read at `asked`, unless something newer is known.
    fn learn(&self, asked: Instant, kept: Kept) -> Kept {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((at, known)) if at > asked => known,
            _ => {
                *known = Some((asked, kept));
                kept
            }
        }
    }

    /// Moves what is kept back to this day, where it lies after it.
    pub(super) async fn lower(&self, tables: &Tables, to: Day) -> Result<()> {
        loop {
            let stored = Kept::read(tables.get(&kept_key(), true).await?.as_ref());
            let next = stored.lowered(to);
            if next == stored || replace(tables, stored, next).await? {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), next));
                return Ok(());
            }
        }
    }

    /// Notes what a cleanup will leave, before it deletes anything.
    pub(super) async fn advance(&self, tables: &Tables, to: Kept) -> Result<Kept> {
        loop {
            let stored = Kept::read(tables.get(&kept_key(), true).await?.as_ref());
            let next = stored.later(to);
            if next == stored || replace(tables, stored, next).await? {
                return Ok(self.learn(Instant::now(), next));
            }
        }
    }
}

fn kept_key() -> Key {
    Key::new(META, "kept")
}

/// Puts `next` in the place of `stored`, unless somebody else was faster.
async fn replace(tables: &Tables, stored: Kept, next: Kept) -> Result<bool> {
    let mut item = kept_key().attributes();
    for (name, day) in Kept::NAMES.into_iter().zip(next.fields()) {
        item.extend(day.map(|day| (name.to_owned(), number(day.number()))));
    }
    let put = tables
        .ask(|| {
            let put = tables.client.put_item().table_name(&*tables.table).set_item(Some(item.clone()));
            let put = match stored.events {
                None => put.condition_expression("attribute_not_exists(pk)"),
                Some(_) => Kept::NAMES.into_iter().zip(stored.fields()).fold(
                    put.condition_expression("#k = :k and #d = :d and #l = :l"),
                    |put, (name, day)| {
                        put.expression_attribute_names(format!("#{name}"), name)
                            .expression_attribute_values(format!(":{name}"), number(day.map_or(0, Day::number)))
                    },
                ),
            };
            put.return_consumed_capacity(ReturnConsumedCapacity::Total).send()
        })
        .await;
    match put {
        Ok(answer) => {
            tables.used(Units::Write, answer.consumed_capacity.as_slice());
            Ok(true)
        }
        Err(Failure::Refused(error)) if error.is_conditional_check_failed_exception() => Ok(false),
        Err(error) => Err(error.store_error()),
    }
}

fn cleanup_key() -> Key {
    Key::new(META, "cleanup")
}

/// Notes the claim of the day's retention run, unless it is done or another process's. What was
/// recorded by a clock that was ahead does not count.
pub(super) async fn claim_cleanup(tables: &Tables, now: Timestamp) -> Result<bool> {
    // Tells our own claim, of which we did not hear the answer, from another's of the same instant.
    let ours = getrandom::u32().map_err(|_| unavailable("the system has no random numbers"))?;
    let claimed = tables
        .ask(|| {
            tables
                .client
                .update_item()
                .table_name(&*tables.table)
                .set_key(Some(cleanup_key().attributes()))
                .update_expression("set #claimed = :now, #claimer = :ours")
                .condition_expression(
                    "(attribute_not_exists(#claimed) or #claimed <= :old or #claimed >= :ahead) \
                     and (attribute_not_exists(#cleaned) or #cleaned < :today or #cleaned >= :tomorrow)",
                )
                .expression_attribute_names("#claimed", "claimed")
                .expression_attribute_names("#claimer", "claimer")
                .expression_attribute_names("#cleaned", "cleaned")
                .expression_attribute_values(":now", number(now.millis()))
                .expression_attribute_values(":ours", number(ours))
                .expression_attribute_values(":old", number(now.plus(-CLAIM).millis()))
                .expression_attribute_values(":ahead", number(now.plus(CLAIM).millis()))
                .expression_attribute_values(":today", number(now.day().start().millis()))
                .expression_attribute_values(":tomorrow", number(now.day().plus(1).start().millis()))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        })
        .await;
    match claimed {
        Ok(answer) => {
            tables.used(Units::Write, answer.consumed_capacity.as_slice());
            Ok(true)
        }
        Err(Failure::Refused(error)) => match *error {
            aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(refusal) => {
                let there = refusal.item.unwrap_or_default();
                let both = (read_number(&there, "claimed"), read_number(&there, "claimer"));
                Ok(both == (Some(now.millis()), Some(ours)))
            }
            other => Err(Failure::Refused(Box::new(other)).store_error()),
        },
        Err(error) => Err(error.store_error()),
    }
}

/// Notes that a retention run succeeded.
pub(super) async fn cleaned(tables: &Tables, at: Timestamp) -> Result<()> {
    set_number(tables, &cleanup_key(), "cleaned", at.millis()).await.map(drop)
}

pub(super) async fn last_cleaned(tables: &Tables) -> Result<Option<Timestamp>> {
    let item = tables.get(&cleanup_key(), true).await?;
    Ok(item.and_then(|item| read_number(&item, "cleaned")).map(Timestamp::from_millis))
}

/// The scheduled retention runs that waited.
pub(super) async fn waited(tables: &Tables) -> Result<Option<Waited>> {
    let number = tables.get(&cleanup_key(), true).await?.and_then(|item| read_number(&item, "waited"));
    Ok(number.filter(|number| *number > 0).map(Waited::from_number))
}

/// Notes the scheduled retention runs that waited.
pub(super) async fn note_waited(tables: &Tables, waited: Option<Waited>) -> Result<()> {
    set_number(tables, &cleanup_key(), "waited", waited.map_or(0, Waited::to_number)).await
}

/// A small write that is durable when it returns.
pub(super) async fn write_check(tables: &Tables) -> Result<()> {
    set_number(tables, &Key::new(META, "check"), "checked", 1).await.map(drop)
}

async fn set_number(tables: &Tables, key: &Key, name: &str, value: i64) -> Result<()> {
    let set = tables
        .ask(|| {
            tables
                .client
                .update_item()
                .table_name(&*tables.table)
                .set_key(Some(key.attributes()))
                .update_expression("set #n = :n")
                .expression_attribute_names("#n", name)
                .expression_attribute_values(":n", number(value))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        })
        .await
        .map_err(Failure::store_error)?;
    tables.used(Units::Write, set.consumed_capacity.as_slice());
    Ok(())
}

fn instance_key() -> Key {
    Key::new(META, "instance")
}

/// A process that writes: its number, and the time up to which positions may have been given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instance {
    pub(super) number: u64,
    pub(super) floor: i64,
}

/// Makes this process one that writes: no other has had its number.
pub(super) async fn register(tables: &Tables) -> Result<Instance> {
    // Executed twice it only wastes a number.
    let answer = tables
        .ask(|| {
            tables
                .client
                .update_item()
                .table_name(&*tables.table)
                .set_key(Some(instance_key().attributes()))
                .update_expression("add #n :one")
                .expression_attribute_names("#n", "instances")
                .expression_attribute_values(":one", number(1))
                .return_values(ReturnValue::AllNew)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        })
        .await
        .map_err(Failure::store_error)?;
    tables.used(Units::Write, answer.consumed_capacity.as_slice());
    let item = answer.attributes.unwrap_or_default();
    let number =
        read_number(&item, "instances").ok_or_else(|| unavailable("the number of this process is not told"))?;
    Ok(Instance { number, floor: read_number(&item, "floor").unwrap_or(0) })
}

/// Notes up to which time positions were given, so that a process that starts with its clock
/// set back does not go behind them.
pub(super) async fn raise_floor(tables: &Tables, to: i64) -> Result<()> {
    let raised = tables
        .ask(|| {
            tables
                .client
                .update_item()
                .table_name(&*tables.table)
                .set_key(Some(instance_key().attributes()))
                .update_expression("set #f = :f")
                .condition_expression("attribute_not_exists(#f) or #f < :f")
                .expression_attribute_names("#f", "floor")
                .expression_attribute_values(":f", number(to))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        })
        .await;
    match raised {
        Ok(answer) => {
            tables.used(Units::Write, answer.consumed_capacity.as_slice());
            Ok(())
        }
        Err(Failure::Refused(error)) if error.is_conditional_check_failed_exception() => Ok(()),
        Err(error) => Err(error.store_error()),
    }
}
