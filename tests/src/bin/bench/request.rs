//! Requests as bytes, built before the clock starts.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use serde_json::Value;
use uuid::Uuid;

use crate::dice::Dice;
use crate::events::{self, EVENT_ID, Shape, TIMESTAMP, VISITOR};

/// Different bodies in a ring of single events.
const BODIES: usize = 4_096;
/// Visitors that are about at the same time, and how many events each sends.
const PRESENT: u64 = 1_000;
const EVENTS_A_VISITOR: u64 = 10;

/// Times for events, evenly from the oldest to the newest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// Unix milliseconds of the first event.
    pub(crate) from: i64,
    /// Microseconds from one event to the next.
    pub(crate) step: i64,
}

/// Requests to send one after another, over and over, each time with other visitors and ids.
pub(crate) struct Ring {
    templates: Vec<Template>,
    events_a_request: u64,
    spread: Spread,
    /// Keeps the visitors of one ring apart from those of another.
    seed: u64,
    sent: AtomicU64,
}

/// Rings made so far.
static RINGS: AtomicU64 = AtomicU64::new(0);

struct Template {
    bytes: Vec<u8>,
    patches: Vec<Patch>,
}

/// Bytes to write anew before each sending.
struct Patch {
    at: usize,
    /// Which event of the request the bytes belong to.
    event: u64,
    value: Variable,
}

#[derive(Clone, Copy)]
enum Variable {
    Visitor,
    EventId,
    Timestamp,
}

impl Ring {
    /// Single events.
    pub(crate) fn events(path: &str, shape: Shape) -> Self {
        let mut dice = Dice::new(1);
        let bodies = (0..BODIES).map(|_| events::event(&mut dice, shape).to_string());
        Self::new(bodies.map(|body| post(path, &body)).collect(), 1)
    }

    /// Arrays of `size` events.
    pub(crate) fn batches(path: &str, shape: Shape, size: usize) -> Self {
        let mut dice = Dice::new(2);
        let count = (BODIES / size).max(8);
        let bodies =
            (0..count).map(|_| Value::Array((0..size).map(|_| events::event(&mut dice, shape)).collect()).to_string());
        Self::new(bodies.map(|body| post(path, &body)).collect(), size as u64)
    }

    /// One GET.
    pub(crate) fn get(path: &str) -> Self {
        Self::new(vec![get(path)], 1)
    }

    fn new(requests: Vec<Vec<u8>>, events_a_request: u64) -> Self {
        Self {
            templates: requests.into_iter().map(Template::new).collect(),
            events_a_request,
            spread: Spread { from: 0, step: 0 },
            seed: RINGS.fetch_add(1, Ordering::Relaxed) << 40,
            sent: AtomicU64::new(0),
        }
    }

    /// The same ring, with times for [`Shape::timestamp`].
    pub(crate) fn over(self, spread: Spread) -> Self {
        Self { spread, ..self }
    }

    /// Puts the next request into `out`.
    ///
    /// # Errors
    /// When the spread leaves the calendar.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let template = &self.templates[(number % self.templates.len() as u64) as usize];
        out.clear();
        out.extend_from_slice(&template.bytes);
        for patch in &template.patches {
            let sequence = number * self.events_a_request + patch.event;
            let place = &mut out[patch.at..];
            match patch.value {
                Variable::Visitor => {
                    visitor(self.seed + visit(sequence)).hyphenated().encode_lower(place);
                }
                Variable::EventId => {
                    Uuid::now_v7().hyphenated().encode_lower(place);
                }
                Variable::Timestamp => {
                    let time = self.spread.from + sequence as i64 * self.spread.step / 1_000;
                    let text = format!("{:.3}", jiff::Timestamp::from_millisecond(time)?);
                    place[..TIMESTAMP.len()].copy_from_slice(text.as_bytes());
                }
            }
        }
        Ok(())
    }
}

/// Whose event it is: a visitor comes, sends ten events among those of the others present, and
/// is not seen again.
fn visit(sequence: u64) -> u64 {
    sequence / (PRESENT * EVENTS_A_VISITOR) * PRESENT + sequence % PRESENT
}

fn visitor(number: u64) -> Uuid {
    let mut dice = Dice::new(number);
    let bits = (u128::from(dice.bits()) << 64) | u128::from(dice.bits());
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}

impl Template {
    fn new(bytes: Vec<u8>) -> Self {
        let mut patches = Vec::new();
        for (text, value) in
            [(VISITOR, Variable::Visitor), (EVENT_ID, Variable::EventId), (TIMESTAMP, Variable::Timestamp)]
        {
            let found = bytes.windows(text.len()).enumerate();
            let found = found.filter(|(_, window)| *window == text.as_bytes());
            patches.extend(found.zip(0..).map(|((at, _), event)| Patch { at, event, value }));
        }
        Self { bytes, patches }
    }
}

/// A GET as a browser behind a proxy would send it.
pub(crate) fn get(path: &str) -> Vec<u8> {
    let agent = events::user_agent(0);
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: {agent}\r\n\r\n").into_bytes()
}

/// A POST; the agent depends on the body, so that a ring has them all.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    let agent = events::user_agent(body.bytes().map(u64::from).sum::<u64>() % events::AGENTS);
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: {agent}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn body(request: &[u8]) -> Result<Value> {
        let text = std::str::from_utf8(request)?;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        Ok(serde_json::from_str(body)?)
    }

    #[test]
    fn every_placeholder_is_written_over() -> Result<()> {
        let shape = Shape { visitor: true, event_id: true, timestamp: true };
        let from = 1_765_190_000_000;
        let ring = Ring::batches("/", shape, 100).over(Spread { from, step: 1_500_000 });
        let (mut request, mut visitors, mut last) = (Vec::new(), HashMap::new(), None);
        for _ in 0..200 {
            ring.write(&mut request)?;
            for event in body(&request)?.as_array().into_iter().flatten() {
                let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                let visitor: Uuid = text("visitor_id").parse()?;
                assert_eq!(visitor.get_version_num(), 4);
                *visitors.entry(visitor).or_insert(0) += 1;
                assert_eq!(text("event_id").parse::<Uuid>()?.get_version_num(), 7);
                let time: jiff::Timestamp = text("timestamp").parse()?;
                assert!(last.is_none_or(|last| last < time));
                last = Some(time);
            }
        }
        assert_eq!(visitors.len(), 2_000);
        assert!(visitors.values().all(|events| *events == 10));
        Ok(())
    }

    #[test]
    fn a_ring_is_the_mix() -> Result<()> {
        let ring = Ring::events("/", Shape::default());
        let mut types = HashMap::new();
        let mut request = Vec::new();
        for _ in 0..BODIES {
            ring.write(&mut request)?;
            let event = body(&request)?;
            assert_eq!(event.get("visitor_id"), None);
            *types.entry(event["event_type"].to_string()).or_insert(0) += 1;
        }
        let views = f64::from(types["\"page_view\""]) / BODIES as f64;
        assert!((0.67..0.73).contains(&views), "{views}");
        Ok(())
    }
}
