//! What is stored of one visitor, on demand: exported, and erased.
//!
//! A visitor is named by the id that events were sent with. Who sent none was given one that is of a day,
//! and that follows from nothing that is kept: such visitors cannot be found again.

use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::App;
use crate::collect::error_text;
use crate::event::{Event, EventData};
use crate::measure::service::Service;
use crate::site::Site;
use crate::store::{Store, StoreError};
use crate::time::{Day, Timestamp};
use crate::url::Url;
use crate::visitor::VisitorId;

/// The most events of a page: however large they are, an answer is not too large for a function.
const PAGE: usize = 100;
/// How long the events of a page are looked for, about: a page may have few.
const LOOKED_FOR: Duration = Duration::from_secs(5);

/// An event with every field that is stored of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StoredEvent<'a> {
    /// Its id.
    id: Uuid,
    /// Its site.
    #[schema(value_type = String)]
    site: &'a Site,
    /// Its visitor, as stored.
    visitor_id: Uuid,
    /// What was done.
    event_type: &'a str,
    /// Whatever else the sender said.
    #[schema(value_type = Object)]
    event_data: &'a EventData,
    /// The page.
    #[schema(value_type = Option<String>)]
    page_url: &'a Option<Url>,
    /// Where the visitor came from.
    #[schema(value_type = Option<String>)]
    referrer: &'a Option<Url>,
    /// The event's own time.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// What was derived of how the visitor came, fields separated by tabs: source, channel, referrer, then
    /// `utm_source`, `utm_medium`, `utm_campaign`, `utm_content`, `utm_term` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    arrival: Option<&'a str>,
    /// What was derived of the browser, fields separated by tabs: country, region, city, language, device,
    /// browser and its version, system and its version, width of the screen and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
}

impl<'a> From<&'a Event> for StoredEvent<'a> {
    fn from(event: &'a Event) -> Self {
        let [arrival, client] = event.facts.stored();
        Self {
            id: event.id,
            site: &event.site,
            visitor_id: Uuid::from_bytes(*event.visitor.as_bytes()),
            event_type: event.event_type.name(),
            event_data: &event.data,
            page_url: &event.page_url,
            referrer: &event.referrer,
            created_at: event.created_at,
            arrival,
            client,
        }
    }
}

/// A page of what is stored of a visitor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VisitorPage {
    /// The UTC days on which the visitor came, oldest first, also those whose events have expired.
    pub days: Vec<Day>,
    /// Events, oldest first.
    pub events: Vec<Event>,
    /// Where the next page begins; none after the last.
    pub next: Option<(Timestamp, Uuid)>,
}

/// What was erased of a visitor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Erased {
    /// How many events.
    pub events: u64,
    /// Of how many days (UTC).
    pub days: u64,
    /// The first of these days.
    #[schema(value_type = Option<String>, format = Date)]
    pub first_day: Option<Day>,
    /// The last of these days.
    #[schema(value_type = Option<String>, format = Date)]
    pub last_day: Option<Day>,
}

impl App {
    /// What is stored of a visitor after a place, oldest first; `by` says in the log who asks. A page may
    /// have few events, or none, and still a next one.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn export_visitor(
        &self,
        site: &Site,
        visitor: VisitorId,
        after: Option<(Timestamp, Uuid)>,
        by: &str,
    ) -> Result<VisitorPage, StoreError> {
        let started = Instant::now();
        let mut page = VisitorPage { days: self.store.visit_days(site, visitor).await?, ..VisitorPage::default() };
        if after.is_none() {
            tracing::info!(site.id = %site, by, days = page.days.len(), "a visitor's data is exported");
        }
        let first = after.map(|(at, _)| at.day());
        for day in page.days.iter().filter(|day| first.is_none_or(|first| **day >= first)) {
            let events = self.store.visitor_events(site, visitor, *day, after, PAGE - page.events.len()).await?;
            page.events.extend(events);
            if page.events.len() >= PAGE {
                page.next = page.events.last().map(|event| (event.created_at, event.id));
                return Ok(page);
            }
            if started.elapsed() > LOOKED_FOR {
                // The end of the day.
                page.next = Some((Timestamp::from_millis(day.plus(1).start().millis() - 1), Uuid::max()));
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// Erases what is stored of a visitor: events, what they added to figures of days that are kept, and
    /// whatever was made of them. `by` says in the log who asked. Events that arrive meanwhile may remain.
    ///
    /// # Errors
    /// When the store cannot. What is erased until then stays erased; repeating it does the rest.
    pub async fn erase_visitor(&self, site: &Site, visitor: VisitorId, by: &str) -> Result<Erased, StoreError> {
        let mut erased = Erased::default();
        let done = self.measure.erase(&*self.store, site, visitor, self.now(), &mut erased).await;
        let Erased { events, days, .. } = erased;
        self.metrics.erased_events_total.inc_by(events);
        match done {
            Ok(()) => {
                tracing::info!(site.id = %site, by, events, days, "a visitor's data was erased");
                Ok(erased)
            }
            Err(error) => {
                let text = error_text(&error);
                tracing::warn!(site.id = %site, by, events, days, error = text, "erasing a visitor's data broke off");
                Err(error)
            }
        }
    }
}

impl Service {
    /// Erases what is stored of a visitor, and counts it.
    ///
    /// # Errors
    /// When the store cannot; repeating it does the rest.
    pub async fn erase(
        &self,
        store: &dyn Store,
        site: &Site,
        visitor: VisitorId,
        now: Timestamp,
        erased: &mut Erased,
    ) -> Result<(), StoreError> {
        let days = store.visit_days(site, visitor).await?;
        if !self.days.begin_erasure(store, site, &days).await? {
            return Ok(());
        }
        for day in days {
            let before = erased.events;
            loop {
                let events = store.erase_events(site, visitor, day, now).await?;
                if events == 0 {
                    break;
                }
                erased.events += events;
            }
            if erased.events > before {
                erased.days += 1;
                erased.first_day = erased.first_day.or(Some(day));
                erased.last_day = Some(day);
            }
        }
        self.days.give_up_columns(store, site).await?;
        // Last, because it says to other processes that answers have changed.
        store.forget_visitor(site, visitor).await?;
        self.days.end_erasure(store, site).await
    }
}
