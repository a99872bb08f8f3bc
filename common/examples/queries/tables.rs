//! The same events as tables for another database: reports are left out, and what a visit is has been
//! worked out, since that database could only do it far more slowly.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use common::event::Event;
use common::event_type::EventType;

use crate::events::RETURNING;

/// A visit ends when so many milliseconds pass without an event.
const GAP: i64 = 30 * 60 * 1_000;
/// The numbers of visitors who do not return are greater.
const ONCE: u64 = 1 << 30;

/// Two files of comma-separated values, `events.csv` and `visits.csv`.
pub(crate) struct Tables {
    events: BufWriter<File>,
    visits: BufWriter<File>,
    /// The numbers of the latest visit, and of the latest visitor who does not return.
    visit: u64,
    visitor: u64,
}

struct Visit<'a> {
    first: &'a Event,
    last: &'a Event,
    events: u32,
    views: u32,
    /// The time of the latest event or report that kept it alive.
    alive: i64,
}

impl Tables {
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        let mut tables = Self {
            events: BufWriter::new(File::create(folder.join("events.csv"))?),
            visits: BufWriter::new(File::create(folder.join("visits.csv"))?),
            visit: 0,
            visitor: ONCE,
        };
        writeln!(tables.events, "time,visitor,visit,name,page,source,country")?;
        writeln!(tables.visits, "visit,visitor,source,country,events,views,duration")?;
        Ok(tables)
    }

    /// Adds the events of a day.
    pub(crate) fn add(&mut self, events: &[Event]) -> io::Result<()> {
        let mut sorted: Vec<&Event> = events.iter().collect();
        sorted.sort_by_key(|event| (event.visitor, event.created_at, event.id));
        for events in sorted.chunk_by(|a, b| a.visitor == b.visitor) {
            let (mut visit, visitor): (Option<Visit<'_>>, _) = (None, self.number(events[0]));
            for event in events {
                let time = event.created_at.millis();
                let alive = visit.as_ref().is_some_and(|visit| time - visit.alive < GAP);
                if matches!(event.event_type, EventType::Scroll | EventType::Hover) {
                    visit.iter_mut().filter(|_| alive).for_each(|visit| visit.alive = time);
                    continue;
                }
                if !alive {
                    self.end(visit.take(), visitor)?;
                    self.visit += 1;
                }
                let visit = visit.get_or_insert(Visit { first: event, last: event, events: 0, views: 0, alive: time });
                (visit.last, visit.alive) = (event, time);
                visit.events += 1;
                visit.views += u32::from(event.event_type == EventType::PageView);
                let page = event.page_url.as_ref().map(|url| url.page().into_owned()).unwrap_or_default();
                let name = event.event_type.name();
                let (source, country) = from(visit.first);
                writeln!(self.events, "{time},{visitor},{},{name},{page},{source},{country}", self.visit)?;
            }
            self.end(visit, visitor)?;
        }
        Ok(())
    }

    fn end(&mut self, visit: Option<Visit<'_>>, visitor: u64) -> io::Result<()> {
        let Some(Visit { first, last, events, views, .. }) = visit else { return Ok(()) };
        let (source, country) = from(first);
        let duration = last.created_at.millis() - first.created_at.millis();
        writeln!(self.visits, "{},{visitor},{source},{country},{events},{views},{duration}", self.visit)
    }

    /// A small number for a visitor, as suits that database.
    fn number(&mut self, event: &Event) -> u64 {
        let (of, number) = uuid::Uuid::from_bytes(*event.visitor.as_bytes()).as_u64_pair();
        if of == RETURNING {
            return number;
        }
        self.visitor += 1;
        self.visitor
    }

    /// Writes what is still in memory.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.events.flush()?;
        self.visits.flush()
    }
}

fn from(event: &Event) -> (&str, &str) {
    (event.facts.arrival.fields().source, event.facts.client.fields().country)
}
