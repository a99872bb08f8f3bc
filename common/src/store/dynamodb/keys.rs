//! The keys of items. Every kind of item has a partition key prefix of its own, and no key depends
//! on anything but what its item is about, so each is found without an index.
//!
//! | partition key | sort key | item | `ttl` |
//! |---|---|---|---|
//! | `e#site#shard` | time, id | an event; or an alias, where the id alone leads, of an event that lies elsewhere | a day after the retention |
//! | `l#site` | position | late index: where the events of a transaction lie whose time is not that of their commit | as events |
//! | `t#site` | day, shard | totals of a day: events, page views, letters, visitors new to the day, its week, its month | 400 days |
//! | `u#site#visitor` | `-` | the days on which a visitor came, one bit each, by month | the retention and 38 days after the last visit |
//! | `b#site#kind` | day, number | a piece of at most 350 KB of a block | |
//! | `n#site` | day | how many events were not stored, by reason | two days after the retention |
//! | `r#kind` | id | a record of the operator's, such as a share link | |
//! | `s` | site | a site that has been seen; when it was found to have no events | |
//! | `f` | site | a site that was removed and may still have blocks | |
//! | `h` | `sites` | how many sites there are | |
//! | `secret` | name | a secret | a day after it expires |
//! | `meta` | name | what cleanup has left, its claim and last success, how many processes have written, the write of a readiness check | |
//!
//! `site` is the site's slug; days are numbers since 1970, times are milliseconds in hexadecimal.
//!
//! Version 0.1.0 also wrote `v#`, `k#`, `c#`, `p#` and `h#site`: counters of values, click cells and
//! presence. Nothing reads them; each has a `ttl` of at most 400 days.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::item::{Item, read_text};
use super::table::{PARTITION_KEY, SORT_KEY};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{BlockKind, RecordKind};
use crate::time::{Day, SECOND, Timestamp};
use crate::visitor::VisitorId;

/// Partitions that a site's events are spread over, by their ids: each takes about 500 events
/// a second, and whatever reads events reads both.
pub(super) const EVENT_SHARDS: u8 = 2;
/// How far the time in an event's id may lie from its own time for the event to lie at its id, and
/// how far the time of its key may lie from its commit for the late index to leave it out; in
/// milliseconds.
pub(super) const SKEW: i64 = 10 * SECOND;
/// The greatest time that fits into a key.
const MAX_TIME: i64 = 0xffff_ffff_ffff;
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
/// Items by their keys.
pub(super) fn by_key(items: Vec<Item>) -> HashMap<Key, Item> {
    items.into_iter().filter_map(|item| Some((read(&item)?, item))).collect()
}

fn millis(time: i64) -> String {
    format!("{:012x}", time.clamp(0, MAX_TIME))
}

/// A day in a key: days before 1970 are one.
pub(super) fn day(day: Day) -> String {
    format!("{:07}", day.number().max(0))
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

/// The key that follows from the id alone: of the event, or of its alias.
pub(super) fn by_id(site: &Site, id: Uuid) -> Key {
    let id_text = id.simple().to_string();
    Key::new(events_of(site, id), format!("{}.{}", &id_text[..12], &id_text[12..]))
}

/// The key of an event that has an alias.
pub(super) fn by_time(site: &Site, id: Uuid, at: Timestamp) -> Key {
    Key::new(events_of(site, id), format!("{}-{}", millis(at.millis()), id.simple()))
}

/// Whether an event of this time lies at the key of its id, and needs no alias.
pub(super) fn is_at_id(id: Uuid, at: Timestamp) -> bool {
    (time_of(id) - at.millis()).abs() <= SKEW
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

/// The key of the event with this sort key.
pub(super) fn event(site: &Site, sk: &str) -> Option<Key> {
    let (_, id) = read_event(sk)?;
    Some(Key::new(events_of(site, id), sk))
}

pub(super) fn late_index(site: &Site) -> String {
    format!("l#{site}")
}

/// The entry of the transaction whose last listed position this is.
pub(super) fn late_entry(site: &Site, last: u64) -> Key {
    Key::new(late_index(site), format!("{last:016x}"))
}

pub(super) fn totals(site: &Site) -> String {
    format!("t#{site}")
}

pub(super) fn totals_of(site: &Site, of: Day, shard: u8) -> Key {
    Key::new(totals(site), format!("{}#{shard:x}", day(of)))
}

/// The day in the sort key of totals and of blocks.
pub(super) fn read_day(sk: &str) -> Option<Day> {
    sk.get(..7)?.parse().ok().map(Day::from_number)
}

/// How many sites there are.
pub(super) fn site_count() -> Key {
    Key::new("h", "sites")
}

pub(super) fn visitor(site: &Site, visitor: VisitorId) -> Key {
    Key::new(format!("u#{site}#{}", Uuid::from_bytes(*visitor.as_bytes()).simple()), "-")
}

/// The attribute that holds a month's days, one bit each.
pub(super) fn month(of: Day) -> String {
    format!("m{}", PeriodKey::of(Period::Month, of).first_day().number())
}

pub(super) fn blocks(site: &Site, kind: BlockKind) -> String {
    format!("b#{site}#{}", kind as u8)
}

/// Counters of what was not stored.
pub(super) fn not_stored(site: &Site) -> String {
    format!("n#{site}")
}

/// A piece of a block, counted from 0.
pub(super) fn block(site: &Site, kind: BlockKind, of: Day, piece: usize) -> Key {
    Key::new(blocks(site, kind), format!("{}#{piece:04}", day(of)))
}

/// The records of a kind.
pub(super) fn records(kind: RecordKind) -> String {
    format!("r#{}", kind as u8)
}

pub(super) fn record(kind: RecordKind, id: Uuid) -> Key {
    Key::new(records(kind), id.simple().to_string())
}

/// Whether a sort key is that of the first piece of a block.
pub(super) fn is_first_piece(sk: &str) -> bool {
    sk.ends_with("#0000")
}

/// The partition of the sites.
pub(super) const SITES: &str = "s";
/// The partition of the secrets.
pub(super) const SECRETS: &str = "secret";
/// The partition of sites that were removed.
pub(super) const FORMER: &str = "f";
/// The partition of what concerns the store as a whole.
pub(super) const META: &str = "meta";

pub(super) fn site(site: &Site) -> Key {
    Key::new(SITES, site.as_str())
}

pub(super) fn former(site: &Site) -> Key {
    Key::new(FORMER, site.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site::default()
    }

    #[test]
    fn an_id_leads_to_the_same_key_whatever_the_time() {
        let at = Timestamp::parse("2025-12-08T10:00:00Z").unwrap();
        let id = Uuid::from_u64_pair((at.millis() as u64) << 16 | 0x7abc, 0x8000_0000_0000_0001);
        assert!(is_at_id(id, at.plus(SKEW)) && !is_at_id(id, at.plus(SKEW + 1)));
        let late = by_time(&site(), id, at.plus(SKEW + 1));
        assert_ne!(late, by_id(&site(), id));
        assert_eq!(late.pk, by_id(&site(), id).pk);
        for (key, time) in [(by_id(&site(), id), at.millis()), (late, at.millis() + SKEW + 1)] {
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
    }
}
