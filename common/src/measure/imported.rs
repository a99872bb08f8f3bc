//! Totals with what is known from logs only: the days that had expired when a log of them was imported
//! have a summary, and no event ever changed the store's totals.

use std::ops::Range;

use super::question::{Dimension, Field};
use super::service::Service;
use super::summary::{Origin, Summary};
use crate::event_type::EventType;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{BlockKind, Result, Store, Totals};
use crate::time::{Day, Timestamp};

/// For how many days the store's own totals of weeks and months are kept at least.
const LONG_TOTALS: i32 = 365;

impl Service {
    /// The totals of a period, and if it is a week or a month, of its imported days. The visitors of those are
    /// added: a visitor without an id is a new one every day.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn totals(&self, store: &dyn Store, site: &Site, key: PeriodKey, now: Timestamp) -> Result<Totals> {
        let mut totals = store.totals(site, key).await?;
        if key.period() != Period::Day {
            let days = key.first_day()..key.last_day().plus(1);
            let imported = self.imported(store, site, days.clone(), now).await?;
            // Events of days without a summary were counted when they were stored; the log may be of the same days.
            if !imported.is_empty() && totals.events <= self.events_by_day(store, site, days, now).await? {
                imported.into_iter().for_each(|(_, imported)| totals += imported);
            }
        }
        Ok(totals)
    }

    /// How many stored events of these days are known by day: from summaries, and of days that are kept.
    async fn events_by_day(&self, store: &dyn Store, site: &Site, days: Range<Day>, now: Timestamp) -> Result<u64> {
        let kept = self.first_kept(now).clamp(days.start, days.end);
        let blocks = store.blocks(site, BlockKind::Totals, days.start..kept).await?;
        let summaries = blocks.into_iter().filter_map(|(_, block)| Summary::open(block).ok());
        let stored = summaries.filter(|day| day.origin() == Origin::Stored).map(|day| day.events());
        let daily = store.daily(site, kept..days.end).await?;
        Ok(stored.chain(daily.iter().map(|(_, day)| day.events)).sum())
    }

    /// The totals of each of these days, oldest first, imported ones included.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn daily(
        &self,
        store: &dyn Store,
        site: &Site,
        days: Range<Day>,
        now: Timestamp,
    ) -> Result<Vec<(Day, Totals)>> {
        let mut daily = store.daily(site, days.clone()).await?;
        for (day, imported) in self.imported(store, site, days, now).await? {
            let without = daily.iter_mut().filter(|(other, totals)| *other == day && totals.events == 0);
            without.for_each(|(_, totals)| *totals += imported);
        }
        Ok(daily)
    }

    /// The totals of those of these days that are known from imported logs.
    async fn imported(
        &self,
        store: &dyn Store,
        site: &Site,
        days: Range<Day>,
        now: Timestamp,
    ) -> Result<Vec<(Day, Totals)>> {
        let mut found = Vec::new();
        let end = days.end.min(self.first_kept(now));
        if days.start >= end || days.start < now.day().plus(-LONG_TOTALS) {
            return Ok(found);
        }
        for (day, block) in store.blocks(site, BlockKind::Totals, days.start..end).await? {
            if !Summary::open(block).is_ok_and(|totals| totals.origin() == Origin::Imported) {
                continue;
            }
            let whole = store.blocks(site, BlockKind::Summary, day..day.plus(1)).await?.pop();
            let totals = whole.and_then(|(_, block)| totals(&Summary::open(block).ok()?));
            found.extend(totals.map(|totals| (day, totals)));
        }
        Ok(found)
    }
}

/// What a summary says of the day's totals; `None` if it is damaged.
fn totals(summary: &Summary) -> Option<Totals> {
    let events_of = |field: Field, value: &str| {
        let mut events = 0;
        let count = |text: &str, counted: &super::scan::Counted| events += counted.events * u64::from(text == value);
        summary.rows(&Dimension::Field(field), count).ok()?;
        Some(events)
    };
    Some(Totals {
        events: summary.events(),
        page_views: summary.totals(false).views,
        letters: events_of(Field::EventName, EventType::LetterGenerate.name())?,
        motivation: events_of(Field::LetterType, "motivation")?,
        anti_motivation: events_of(Field::LetterType, "anti_motivation")?,
        visitors: summary.totals(true).visitors,
    })
}
