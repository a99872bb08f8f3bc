//! What a transaction of an append writes: events, and the net effect of all of them on totals,
//! visitors and the late index. Whatever is taken for granted is a condition in it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;

use super::client::Table;
use super::feed::LateEntry;
use super::item::{number, read_number, ttl};
use super::keys::{self, Key, by_key};
use super::rows;
use super::sites;
use super::table::PARTITION_KEY;
use super::totals::{DayTotals, ERASED, unlocked};
use super::visits::VisitDays;
use super::write::{Condition, MOST_BYTES, MOST_WRITES, Reason, Update, Write};
use crate::event::Event;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Position, Result};
use crate::time::{DAY, Day, Timestamp};
use crate::visitor::VisitorId;

/// The most visitors that are cached: some 200 bytes each.
const MOST_CACHED: usize = 50_000;
/// The most days with erased visitors that are known.
const MOST_ERASED: usize = 1_000;
/// An estimate of the bytes of a transaction that one write of a counted item takes.
const COUNTED_BYTES: usize = 500;

/// An event that is being appended.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) event: Event,
    pub(super) now: Timestamp,
    pub(super) position: Position,
}

impl Entry {
    fn visitor(&self) -> Visitor {
        (self.event.site.clone(), self.event.visitor)
    }
}

/// A visitor of a site.
pub(super) type Visitor = (Site, VisitorId);

/// What was read of sites and visitors. It may be out of date: a transaction that takes it for
/// granted is then refused, and it is read again.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Registered sites, and when it was found that they are.
    sites: HashMap<Site, Timestamp>,
    visitors: HashMap<Visitor, VisitDays>,
    /// By day: which erasure of one of its visitors was the last one.
    erased: HashMap<(Site, Day), u32>,
}

impl Known {
    /// Reads what these entries need, and registers new sites.
    pub(super) async fn learn(&mut self, table: &Table, entries: &[&Entry]) -> Result<()> {
        let now = entries.iter().map(|entry| entry.now).max().unwrap_or_else(|| Timestamp::from_millis(0));
        let is_known = |found: &Timestamp| found.millis().abs_diff(now.millis()) < sites::KNOWN_FOR.unsigned_abs();
        let sites = entries.iter().map(|entry| &entry.event.site);
        let new: BTreeSet<Site> = sites.filter(|site| !self.sites.get(*site).is_some_and(is_known)).cloned().collect();
        if !new.is_empty() {
            // Others may be removed from here on, and need not be remembered.
            self.sites.retain(|_, found| is_known(found));
            let registered = sites::register(table, &new).await?;
            self.sites.extend(registered.into_iter().map(|site| (site, now)));
        }
        if self.visitors.len() > MOST_CACHED {
            self.visitors.clear();
        }
        let visitors = entries.iter().filter(|entry| self.has_site(&entry.event.site)).map(|entry| entry.visitor());
        let new: HashSet<Visitor> = visitors.filter(|visitor| !self.visitors.contains_key(visitor)).collect();
        let keys: Vec<Key> = new.iter().map(|(site, visitor)| keys::visitor(site, *visitor)).collect();
        let found = by_key(table.get_all(&keys, true).await?);
        self.visitors.extend(new.into_iter().map(|visitor| {
            let item = found.get(&keys::visitor(&visitor.0, visitor.1));
            (visitor, item.map(VisitDays::read).unwrap_or_default())
        }));
        Ok(())
    }

    /// Whether a site is registered.
    pub(super) fn has_site(&self, site: &Site) -> bool {
        self.sites.contains_key(site)
    }

    pub(super) fn forget(&mut self, visitor: &Visitor) {
        self.visitors.remove(visitor);
    }

    pub(super) fn forget_visitors(&mut self) {
        self.visitors.clear();
    }

    /// Visitors of this day were erased: what is known of them may be wrong.
    pub(super) fn learn_erasure(&mut self, day: (Site, Day), mark: u32) {
        if self.erased.len() >= MOST_ERASED {
            self.erased.clear();
        }
        self.erased.insert(day, mark);
        self.forget_visitors();
    }
}

/// What one write of a transaction is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// The item where the id of this entry leads.
    Id(usize),
    /// The event of an alias.
    Target,
    /// Of a day, with the erasure that is known of it.
    Totals(Site, Day, Option<u32>),
    Visitor(Visitor),
    LateIndex,
}

/// A transaction that is being put together.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    known: &'a Known,
    retention: i64,
    entries: Vec<usize>,
    events: Vec<(Part, Write)>,
    totals: BTreeMap<(Site, Day), (DayTotals, Timestamp)>,
    visitors: HashMap<Visitor, Visits>,
    late: BTreeMap<Site, LateEntry>,
    bytes: usize,
}

/// The days of a visitor after the transaction.
#[derive(Debug)]
struct Visits {
    days: VisitDays,
    /// The months that must be as they are known.
    months: BTreeSet<Day>,
    /// The earliest day of the transaction, or today.
    earliest: Day,
}

impl<'a> Batch<'a> {
    pub(super) fn new(known: &'a Known, retention: i64) -> Self {
        Self {
            known,
            retention,
            entries: Vec::new(),
            events: Vec::new(),
            totals: BTreeMap::new(),
            visitors: HashMap::new(),
            late: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Adds an entry of a registered site, unless the transaction would become too large.
    pub(super) fn add(&mut self, at: usize, entry: &Entry) -> bool {
        let Entry { event, now, position } = entry;
        let items = rows::items(event, *position, self.retention);
        let late = items.last().filter(|(_, item)| LateEntry::lists(item, *position)).map(|(key, _)| key.sk.clone());
        let (visitor, day) = (entry.visitor(), event.created_at.day());
        let before = self.visitors.get(&visitor).map(|visits| &visits.days);
        let mut days = before.or_else(|| self.known.visitors.get(&visitor)).cloned().unwrap_or_default();
        let first = days.add(day);

        let totals = (event.site.clone(), day);
        let counted = usize::from(!self.totals.contains_key(&totals))
            + usize::from(first.is_some() && !self.visitors.contains_key(&visitor))
            + usize::from(late.is_some() && !self.late.contains_key(&event.site));
        let mut writes: Vec<Write> = items.into_iter().map(|(key, item)| Write::put(key, item)).collect();
        let bytes = writes.iter().map(Write::size).sum::<usize>() + (counted + 1) * COUNTED_BYTES;
        if self.len() + writes.len() + counted > MOST_WRITES || self.bytes + bytes > MOST_BYTES {
            return false;
        }
        self.bytes += bytes;
        self.entries.push(at);
        let by_id = writes.remove(0).when(Condition::Absent(PARTITION_KEY.to_owned()));
        self.events.push((Part::Id(at), by_id));
        self.events.extend(writes.into_iter().map(|write| (Part::Target, write)));
        if let Some(sk) = late {
            self.late.entry(event.site.clone()).or_default().add(*position, &sk);
        }
        let (totals, since) = self.totals.entry(totals).or_insert_with(|| (DayTotals::default(), *now));
        *since = (*since).max(*now);
        totals.add_event(event);
        if let Some(first) = first {
            totals.add_visitor(&first);
            let visits = self.visitors.entry(visitor).or_insert_with(|| Visits {
                days: VisitDays::default(),
                months: BTreeSet::new(),
                earliest: now.day(),
            });
            visits.earliest = visits.earliest.min(day);
            visits.days = days;
            visits.months.extend(first.months);
        }
        true
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn len(&self) -> usize {
        self.events.len() + self.totals.len() + self.visitors.len() + self.late.len()
    }

    /// The transaction; `shard` says which item of a site's totals is used.
    pub(super) fn finish(self, shard: impl Fn(&Site) -> u8) -> Transaction {
        let mut writes = self.events;
        let mut new_visitors = 0;
        for ((site, day), (totals, now)) in &self.totals {
            new_visitors += totals.new_visitors(Period::Day);
            let write = Write::update(keys::totals_of(site, *day, shard(site)), totals.update(*day));
            let erased = self.known.erased.get(&(site.clone(), *day)).copied();
            let absent = Condition::Absent(ERASED.to_owned());
            let as_known = match erased {
                Some(mark) => Condition::Any(vec![absent, Condition::is(ERASED, Some(number(mark)))]),
                None => absent,
            };
            let write = write.when(Condition::All(vec![unlocked(*now), as_known]));
            writes.push((Part::Totals(site.clone(), *day, erased), write));
        }
        let mut visitors = Vec::new();
        for (visitor, visits) in self.visitors {
            let before = self.known.visitors.get(&visitor).cloned().unwrap_or_default();
            let (days, write) = visits.write(&visitor, &before, self.retention);
            writes.push((Part::Visitor(visitor.clone()), write));
            visitors.push((visitor, days));
        }
        let sites = self.totals.into_keys().map(|(site, _)| site).collect();
        let late = self.late.iter().filter_map(|(site, entry)| entry.write(site, self.retention));
        writes.extend(late.map(|write| (Part::LateIndex, write)));
        let (parts, writes) = writes.into_iter().unzip();
        Transaction { entries: self.entries, parts, writes, visitors, sites, new_visitors }
    }
}

impl Visits {
    /// The days that are kept, and the write.
    fn write(mut self, (site, visitor): &Visitor, before: &VisitDays, retention: i64) -> (VisitDays, Write) {
        let last = self.days.last().unwrap_or(self.earliest);
        // Of days before the retention no event is kept, and none of a week that began with them.
        let needed = self.earliest.plus(-7 - i32::try_from(retention).unwrap_or(i32::MAX));
        self.days.remove_before(PeriodKey::of(Period::Month, needed).first_day());
        let (name, expiry) = expiry(last, retention);
        let mut update = Update::default().set(name, expiry);
        for (month, bits) in self.days.months().filter(|(month, bits)| before.month(*month) != Some(*bits)) {
            update = update.set(keys::month(month), number(bits));
        }
        for (month, _) in before.months().filter(|(month, _)| self.days.month(*month).is_none()) {
            update = update.remove(keys::month(month));
        }
        let as_known =
            self.months.iter().map(|month| Condition::is(keys::month(*month), before.month(*month).map(number)));
        let write = Write::update(keys::visitor(site, *visitor), update).when(Condition::All(as_known.collect()));
        (self.days, write)
    }
}

/// When the service may delete the days of a visitor who last came on this one: the month ends at most
/// 30 days later, and a week that began in it 7 days after that.
pub(super) fn expiry(last: Day, retention: i64) -> (String, AttributeValue) {
    ttl(last.start().plus((30 + 7 + retention + 1) * DAY))
}

/// A transaction of an append.
#[derive(Debug)]
pub(super) struct Transaction {
    /// The entries in it.
    pub(super) entries: Vec<usize>,
    parts: Vec<Part>,
    pub(super) writes: Vec<Write>,
    visitors: Vec<(Visitor, VisitDays)>,
    /// The sites in it.
    pub(super) sites: BTreeSet<Site>,
    /// How many visitors are new to their day.
    pub(super) new_visitors: u64,
}

/// What the reasons of a cancelled transaction mean.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cancelled {
    /// This very transaction was committed before, and the answer was lost.
    Committed,
    /// These entries were stored before.
    Duplicates(Vec<usize>),
    /// Visitors of these days were erased by another process, or by this one.
    Erased(Vec<((Site, Day), u32)>),
    /// The totals of a day are locked by a rebuild.
    Locked,
    /// These visitors are not as they were known.
    Stale(Vec<Visitor>),
    /// Another process wrote the same items at the same time.
    Conflict,
}

impl Transaction {
    pub(super) fn judge(&self, reasons: &[Reason], entries: &[Entry]) -> Cancelled {
        let (mut duplicates, mut stale, mut erased, mut locked) = (Vec::new(), Vec::new(), Vec::new(), false);
        for (part, reason) in self.parts.iter().zip(reasons) {
            let Reason::Refused(item) = reason else { continue };
            match part {
                Part::Id(at) if rows::position(item) == Some(entries[*at].position) => return Cancelled::Committed,
                Part::Id(at) => duplicates.push(*at),
                Part::Totals(site, day, known) => match read_number(item, ERASED) {
                    Some(mark) if Some(mark) != *known => erased.push(((site.clone(), *day), mark)),
                    _ => locked = true,
                },
                Part::Visitor(visitor) => stale.push(visitor.clone()),
                Part::Target | Part::LateIndex => {}
            }
        }
        if duplicates.is_empty() && !erased.is_empty() {
            return Cancelled::Erased(erased);
        }
        match (duplicates.is_empty(), locked, stale.is_empty()) {
            (false, ..) => Cancelled::Duplicates(duplicates),
            (_, true, _) => Cancelled::Locked,
            (.., false) => Cancelled::Stale(stale),
            _ => Cancelled::Conflict,
        }
    }

    /// What is known once it is committed.
    pub(super) fn teach(&mut self, known: &mut Known) {
        known.visitors.extend(self.visitors.drain(..));
    }
}
