//! What each item is called. Every kind of item has a letter of its own, and no item's name
//! depends on anything but what it is about.
//!
//! | partition key | sort key | item |
//! |---|---|---|
//! | `e#site#shard` | time, id | an event, or what stands in for it where only its id leads to |
//! | `l#site` | position | where the events of a transaction are whose time is not their commit's |
//! | `t#site` | day, shard | totals of a day |
//! | `v#site#dimension` | day, shard, value | how often a value came in a day |
//! | `k#site` | day, hash | a click target of a day: that it is there |
//! | `h#site` | kind, day | how many values or targets of its own a day has |
//! | `c#site` | hour, hash | a click cell |
//! | `u#site#visitor` | `-` | the days on which a visitor came |
//! | `p#site` | minute, visitor | that a visitor came in this minute |
//! | `b#site#kind` | day, number | a piece of a block |
//! | `s` | site | a site: that it is there |
//! | `h` | `sites` | how many sites there are |
//! | `secret` | name | a secret |
//! | `meta` | name | a fact about the store |

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::item::{Item, read_text};
use super::table::{PARTITION_KEY, SORT_KEY};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::BlockKind;
use crate::tally::{Click, Dimension};
use crate::time::{Day, SECOND, Timestamp};
use crate::visitor::VisitorId;

/// Partitions that a site's events are spread over, by their ids: each takes about 500 events
/// a second, and every question that reads events asks each of them.
pub(super) const EVENT_SHARDS: u8 = 2;
/// How far the time in an event's id, its own time and that of its commit may lie apart, in
/// milliseconds, for the id alone to stand for all of them.
pub(super) const SKEW: i64 = 10 * SECOND;
/// How long a slot of presence is, in milliseconds.
pub(super) const SLOT: i64 = 60 * SECOND;
/// The latest time that a key can say.
const LATEST: i64 = 0xffff_ffff_ffff;
/// Sorts after everything that begins like it.
pub(super) const END: &str = "~";

/// An item's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// Partition key.
    pub(super) pk: String,
    /// Sort key.
    pub(super) sk: String,
}

impl Key {
    pub(super) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// The two attributes that name the item.
    pub(super) fn attributes(&self) -> Item {
        [(PARTITION_KEY, &self.pk), (SORT_KEY, &self.sk)]
            .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.clone())))
            .into()
    }
}

/// The name of an item that was read.
pub(super) fn read(item: &Item) -> Option<Key> {
    Some(Key::new(read_text(item, PARTITION_KEY)?, read_text(item, SORT_KEY)?))
}

/// What has room for so many values of its own in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The values of a dimension.
    Values(Dimension),
    /// Click targets.
    Targets,
}

impl Kind {
    /// All that senders can fill.
    pub(super) const ALL: [Self; 3] =
        [Self::Values(Dimension::EventType), Self::Values(Dimension::Theme), Self::Targets];

    pub(super) const fn letter(self) -> char {
        match self {
            Self::Values(dimension) => (b'0' + dimension as u8) as char,
            Self::Targets => 'k',
        }
    }
}

fn millis(time: i64) -> String {
    format!("{:012x}", time.clamp(0, LATEST))
}

/// A day in a key: days before 1970 are one.
pub(super) fn day(day: Day) -> String {
    format!("{:07}", day.number().max(0))
}

fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn events(site: &Site, shard: u8) -> String {
    format!("e#{site}#{shard}")
}

fn events_of(site: &Site, id: Uuid) -> String {
    events(site, id.as_bytes()[15] % EVENT_SHARDS)
}

/// The time that an id begins with, as version 7 does; of other ids it is some number.
pub(super) fn time_of(id: Uuid) -> i64 {
    id.as_bytes()[..6].iter().fold(0, |time, byte| time << 8 | i64::from(*byte))
}

/// The place that follows from the id alone: whether an event was stored is asked there.
pub(super) fn by_id(site: &Site, id: Uuid) -> Key {
    let id_text = id.simple().to_string();
    Key::new(events_of(site, id), format!("{}.{}", &id_text[..12], &id_text[12..]))
}

/// The place of an event that lies elsewhere than its id says.
pub(super) fn by_time(site: &Site, id: Uuid, at: Timestamp) -> Key {
    Key::new(events_of(site, id), format!("{}-{}", millis(at.millis()), id.simple()))
}

/// The place of an event, and whether it is the one that its id leads to.
pub(super) fn place_of(site: &Site, id: Uuid, at: Timestamp) -> (Key, bool) {
    if (time_of(id) - at.millis()).abs() <= SKEW { (by_id(site, id), true) } else { (by_time(site, id, at), false) }
}

/// The first sort key of events of this time.
pub(super) fn events_from(time: i64) -> String {
    millis(time)
}

/// After the last sort key of events of this time.
pub(super) fn events_to(time: i64) -> String {
    millis(time) + END
}

/// The time by which an event is sorted, and its id.
pub(super) fn read_event(sk: &str) -> Option<(i64, Uuid)> {
    let time = i64::from_str_radix(sk.get(..12)?, 16).ok()?;
    let rest = sk.get(13..)?;
    let id = match sk.as_bytes().get(12)? {
        b'.' => Uuid::try_parse(&format!("{}{rest}", &sk[..12])),
        _ => Uuid::try_parse(rest),
    };
    Some((time, id.ok()?))
}

/// The partition of the event with this sort key.
pub(super) fn event(site: &Site, sk: &str) -> Option<Key> {
    let (_, id) = read_event(sk)?;
    Some(Key::new(events_of(site, id), sk))
}

pub(super) fn log(site: &Site) -> String {
    format!("l#{site}")
}

pub(super) fn log_entry(site: &Site, last: u64) -> Key {
    Key::new(log(site), format!("{last:016x}"))
}

pub(super) fn totals(site: &Site) -> String {
    format!("t#{site}")
}

pub(super) fn totals_of(site: &Site, of: Day, shard: u8) -> Key {
    Key::new(totals(site), format!("{}#{shard:x}", day(of)))
}

/// The day in the sort key of totals, values, targets and of [`head`].
pub(super) fn read_day(sk: &str) -> Option<Day> {
    sk.get(..7)?.parse().ok().map(Day::from_number)
}

pub(super) fn values(site: &Site, dimension: Dimension) -> String {
    format!("v#{site}#{}", dimension as u8)
}

pub(super) fn value(site: &Site, dimension: Dimension, of: Day, shard: u8, value: &str) -> Key {
    Key::new(values(site, dimension), format!("{}#{shard:x}{value}", day(of)))
}

/// Day, shard and value in the sort key of a value.
pub(super) fn read_value(sk: &str) -> Option<(Day, u8, &str)> {
    let shard = u8::from_str_radix(sk.get(8..9)?, 16).ok()?;
    Some((read_day(sk)?, shard, sk.get(9..)?))
}

pub(super) fn targets(site: &Site) -> String {
    format!("k#{site}")
}

pub(super) fn target(site: &Site, of: Day, page: &str, element: &str) -> Key {
    Key::new(targets(site), format!("{}#{}", day(of), hash(&[page, element])))
}

pub(super) fn heads(site: &Site) -> String {
    format!("h#{site}")
}

pub(super) fn head(site: &Site, kind: Kind, of: Day) -> Key {
    Key::new(heads(site), format!("{}#{}", kind.letter(), day(of)))
}

/// How many sites there are.
pub(super) fn site_count() -> Key {
    Key::new("h", "sites")
}

pub(super) fn clicks(site: &Site) -> String {
    format!("c#{site}")
}

/// An hour in a key.
pub(super) fn hour(hour: i64) -> String {
    format!("{:08}", hour.clamp(0, 99_999_999))
}

pub(super) fn click(site: &Site, of: i64, click: &Click) -> Key {
    let place = format!("{},{}", click.x, click.y);
    Key::new(clicks(site), format!("{}#{}", hour(of), hash(&[&click.page, &place, &click.element])))
}

pub(super) fn read_hour(sk: &str) -> Option<i64> {
    sk.get(..8)?.parse().ok()
}

pub(super) fn visitor(site: &Site, visitor: VisitorId) -> Key {
    Key::new(format!("u#{site}#{}", Uuid::from_bytes(*visitor.as_bytes()).simple()), "-")
}

/// The attribute that holds a month's days, one bit each.
pub(super) fn month(of: Day) -> String {
    format!("m{}", PeriodKey::of(Period::Month, of).first_day().number())
}

pub(super) fn presence(site: &Site) -> String {
    format!("p#{site}")
}

/// The slot of a time.
pub(super) fn slot(at: Timestamp) -> i64 {
    at.millis().div_euclid(SLOT)
}

/// A slot in a key.
pub(super) fn slot_text(slot: i64) -> String {
    format!("{:08x}", slot.clamp(0, 0xffff_ffff))
}

pub(super) fn present(site: &Site, slot: i64, visitor: VisitorId) -> Key {
    Key::new(presence(site), format!("{}#{}", slot_text(slot), Uuid::from_bytes(*visitor.as_bytes()).simple()))
}

pub(super) fn read_present(sk: &str) -> Option<(i64, VisitorId)> {
    Some((i64::from_str_radix(sk.get(..8)?, 16).ok()?, VisitorId::parse(sk.get(9..)?)?))
}

pub(super) fn blocks(site: &Site, kind: BlockKind) -> String {
    format!("b#{site}#{}", kind as u8)
}

/// A piece of a block, counted from 0.
pub(super) fn block(site: &Site, kind: BlockKind, of: Day, piece: usize) -> Key {
    Key::new(blocks(site, kind), format!("{}#{piece:04}", day(of)))
}

/// The partition of all sites.
pub(super) const SITES: &str = "s";
/// The partition of the secrets.
pub(super) const SECRETS: &str = "secret";
/// The partition of facts about the store.
pub(super) const META: &str = "meta";

pub(super) fn site(site: &Site) -> Key {
    Key::new(SITES, site.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site::default()
    }

    #[test]
    fn an_id_leads_to_the_same_place_whatever_the_time() {
        let at = Timestamp::parse("2025-12-08T10:00:00Z").unwrap();
        let id = Uuid::from_u64_pair((at.millis() as u64) << 16 | 0x7abc, 0x8000_0000_0000_0001);
        assert_eq!(place_of(&site(), id, at.plus(SKEW)), (by_id(&site(), id), true));
        let late = place_of(&site(), id, at.plus(SKEW + 1));
        assert_eq!(late, (by_time(&site(), id, at.plus(SKEW + 1)), false));
        assert_ne!(late.0, by_id(&site(), id));
        assert_eq!(late.0.pk, by_id(&site(), id).pk);
        for (key, time) in [(by_id(&site(), id), at.millis()), (late.0, at.millis() + SKEW + 1)] {
            assert_eq!(read_event(&key.sk), Some((time, id)));
            assert_eq!(event(&site(), &key.sk), Some(key));
        }
    }

    #[test]
    fn keys_sort_by_time() {
        let day = |number| Day::from_number(number);
        assert!(totals_of(&site(), day(9), 15).sk < totals_of(&site(), day(10), 0).sk);
        assert!(super::day(day(2_932_896)).len() == 7, "the last day of the year 9999");
        let at = Timestamp::from_millis;
        let id = Uuid::nil();
        assert!(by_time(&site(), id, at(255)).sk < by_time(&site(), id, at(256)).sk);
        assert!(by_time(&site(), id, at(-5)).sk < events_to(0));
        assert!(by_time(&site(), id, at(i64::MAX)).sk < events_to(i64::MAX));
        assert!(slot_text(15) < slot_text(16) && hour(99) < hour(100));
    }

    #[test]
    fn values_may_be_anything() {
        for text in ["", "#", "a#b", "é\u{0}", "~~"] {
            let key = value(&site(), Dimension::Theme, Day::from_number(20_000), 15, text);
            assert_eq!(read_value(&key.sk), Some((Day::from_number(20_000), 15, text)));
            assert!(key.sk < super::day(Day::from_number(20_001)));
        }
        assert_ne!(target(&site(), Day::from_number(1), "ab", "c"), target(&site(), Day::from_number(1), "a", "bc"));
    }

    #[test]
    fn no_sort_key_is_too_long() {
        let theme = "\u{1f600}".repeat(crate::cv::LONGEST_THEME);
        assert!(value(&site(), Dimension::Theme, Day::from_number(20_000), 0, &theme).sk.len() <= 1_024);
    }
}
