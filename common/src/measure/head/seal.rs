//! Visitors leave the head for pieces, and come back.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use hashbrown::HashTable;

use super::piece::{OfRows, Piece, Taken};
use super::{Head, Part, Rows, Runs, Sparse, Visitor, push};
use crate::event::Event;
use crate::time::Timestamp;
use crate::visitor::VisitorId;

/// The row of a visitor who is sealed.
const GONE: u32 = u32::MAX;
/// The seconds of a day.
const SECONDS: usize = 86_400;

/// Ids of events are not kept in pieces. Rows that come back have numbers in the order of the ids instead,
/// which leave 12 bytes zero. An event with such an id is no problem: it is looked up for nothing.
fn is_unknown(id: &[u8; 16]) -> bool {
    id[..12] == [0; 12]
}

impl Head {
    /// Its head and its pieces. Each visitor is in one of them.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let piece = |piece| Part { head: self, piece };
        std::iter::once(piece(None)).chain(self.sealed.pieces().map(Some).map(piece))
    }

    /// How many parts there are.
    pub(in crate::measure) fn count_parts(&self) -> usize {
        1 + self.sealed.pieces().count()
    }

    /// One of the parts; the first is the head.
    pub(in crate::measure) fn part_at(&self, number: usize) -> Part<'_> {
        let piece = number.checked_sub(1).and_then(|number| self.sealed.pieces().nth(number));
        Part { head: self, piece }
    }

    /// Seals visitors if the head takes more than so many bytes: those who have no part in the latest
    /// quarter of the rows, in the order in which they came here.
    pub(in crate::measure) fn relieve(&mut self, bytes: usize) {
        if self.unsealed_memory() > bytes.max(self.seal_at) {
            self.seal(self.rows.time.len() / 4 * 3);
            // If most visitors stay, sealing the few others for every batch would take too long.
            self.seal_at = 2 * self.unsealed_memory();
        }
    }

    /// Seals the visitors whose rows all came before this one.
    pub(in crate::measure) fn seal(&mut self, before: usize) {
        let is_idle = |visitor: &Visitor| {
            let rows = self.places.get(visitor.rows);
            rows.iter().all(|row| (*row as usize) < before)
        };
        let mut idle: Vec<u32> = (0..).zip(&self.visitors).filter(|(_, of)| is_idle(of)).map(|(of, _)| of).collect();
        let mut is_sealed = vec![false; self.visitors.len()];
        // Whose rows were dropped is in no piece.
        idle.retain(|number| !self.places.get(self.visitors[*number as usize].rows).is_empty());
        idle.sort_by_cached_key(|number| {
            let visitor = &self.visitors[*number as usize];
            let first = self.places.get(visitor.rows)[0];
            (Reverse(visitor.explicit), self.rows.time[first as usize], visitor.id)
        });
        for range in Piece::divide(self, &idle) {
            if range.is_empty() || !self.sealed.has_room() {
                break;
            }
            let visitors = &idle[range];
            let piece = Piece::of(self, visitors);
            visitors.iter().for_each(|number| is_sealed[*number as usize] = true);
            self.sealed.add(piece, visitors.iter().map(|number| self.visitors[*number as usize].id));
        }
        if is_sealed.contains(&true) {
            self.keep_others(&is_sealed);
        }
    }

    /// Calls `each` with the head while it has so many events at most, of which no visitor is in two calls:
    /// those with an explicit id first, by the second of their first event. All of a second go together.
    pub(in crate::measure) fn into_groups(mut self, most: usize, mut each: impl FnMut(&Self)) {
        if self.sealed.is_unused() && self.len() <= most {
            return each(&self);
        }
        // What is kept of the values of the whole day is kept of each group.
        self.caps();
        let caps = self.caps.take();
        self.seal(usize::MAX);
        let seconds = self.sealed.seconds();
        let mut rows = vec![0; 2 * SECONDS];
        for (second, own) in seconds.iter().flatten() {
            rows[*second as usize] += *own as usize;
        }
        let (mut start, mut sum) = (0, 0);
        for end in 1..=rows.len() {
            sum += rows[end - 1];
            if end < rows.len() && sum + rows[end] <= most || sum == 0 {
                continue;
            }
            let group = start..end as u32;
            for (piece, visitors) in self.sealed.remove_all(|place| group.contains(&seconds[place.0][place.1].0)) {
                self.take(piece, &visitors);
            }
            self.form_changed();
            self.caps = caps.clone().map(OnceLock::from).unwrap_or_default();
            each(&self);
            let all = vec![true; self.visitors.len()];
            self.keep_others(&all);
            (start, sum) = (end as u32, 0);
        }
    }

    /// Drops the rows of visitors, and what room they took.
    fn keep_others(&mut self, is_sealed: &[bool]) {
        let (rows, places) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.places));
        let visitors = std::mem::take(&mut self.visitors);
        self.visits = Runs::default();
        self.numbers = HashTable::new();
        let mut kept: Vec<(Visitor, &[u32])> = Vec::new();
        let mut place = vec![GONE; rows.time.len()];
        for (visitor, _) in visitors.into_iter().zip(is_sealed).filter(|(_, is_sealed)| !**is_sealed) {
            let own = places.get(visitor.rows);
            own.iter().for_each(|row| place[*row as usize] = 0);
            kept.push((visitor, own));
        }
        for (next, place) in (0..).zip(place.iter_mut().filter(|place| **place != GONE)) {
            *place = next;
        }
        self.rows = rows.only(&place);
        for property in self.properties.values_mut() {
            property.column = property.column.only(&place);
        }
        for (Visitor { id, explicit, was_sealed, .. }, own) in kept {
            let number = self.visitor(id);
            let visitor = &mut self.visitors[number as usize];
            (visitor.explicit, visitor.was_sealed) = (explicit, was_sealed);
            own.iter().for_each(|row| self.push_row(number, place[*row as usize]));
        }
        self.form_changed();
    }

    /// Moves the sealed visitors of these events back to the head. Answers at which instants a visitor has
    /// events whose ids decide the order among them and those that come, but are not known any more: such
    /// events have to be [forgotten](Self::forget) and read again from the log. To do it twice is no harm.
    pub(in crate::measure) fn reopen<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Vec<(VisitorId, Timestamp)> {
        if self.sealed.is_unused() {
            return Vec::new();
        }
        let midnight = self.day.start().millis();
        let mut times: BTreeMap<VisitorId, Vec<u32>> = BTreeMap::new();
        for event in events.into_iter().filter(|event| event.created_at.day() == self.day) {
            times.entry(event.visitor).or_default().push((event.created_at.millis() - midnight) as u32);
        }
        let mut sealed: BTreeMap<usize, Vec<(u32, VisitorId)>> = BTreeMap::new();
        for id in times.keys() {
            if let Some((piece, number)) = self.sealed.remove(*id) {
                sealed.entry(piece).or_default().push((number, *id));
            }
        }
        for (piece, mut visitors) in sealed {
            visitors.sort_unstable();
            self.take(piece, &visitors);
            if self.sealed.piece(piece).is_some_and(|piece| piece.is_mostly_gone()) {
                for (piece, others) in self.sealed.remove_all(|(of, _)| of == piece) {
                    self.take(piece, &others);
                }
            }
        }
        self.form_changed();
        let mut unclear = Vec::new();
        for (id, mut times) in times {
            let visitor = self.find(id).map(|number| &self.visitors[number as usize]);
            let Some(visitor) = visitor.filter(|visitor| visitor.was_sealed) else { continue };
            times.sort_unstable();
            let rows = self.places.get(visitor.rows).iter().map(|row| *row as usize);
            let rows = rows.filter(|row| is_unknown(&self.rows.id[*row]));
            let mut tied: Vec<u32> =
                rows.map(|row| self.rows.time[row]).filter(|time| times.binary_search(time).is_ok()).collect();
            tied.sort_unstable();
            tied.dedup();
            unclear.extend(tied.into_iter().map(|time| (id, Timestamp::from_millis(midnight + i64::from(time)))));
        }
        unclear
    }

    /// Drops the events of a visitor and an instant whose ids are not known.
    pub(in crate::measure) fn forget(&mut self, visitor: VisitorId, instant: Timestamp) {
        let Some(number) = self.find(visitor).filter(|_| instant.day() == self.day) else { return };
        let time = (instant.millis() - self.day.start().millis()) as u32;
        let visitor = &mut self.visitors[number as usize];
        let places = self.places.get_mut(visitor.rows);
        let mut kept = 0;
        for at in 0..places.len() {
            let row = places[at] as usize;
            if self.rows.time[row] != time || !is_unknown(&self.rows.id[row]) {
                places[kept] = places[at];
                kept += 1;
            }
        }
        self.events -= places.len() - kept;
        self.places.truncate(&mut visitor.rows, kept);
        if !visitor.changed {
            visitor.changed = true;
            self.changed.push(number);
        }
    }

    /// Moves visitors of a piece, in the order of their numbers there, back to the head.
    fn take(&mut self, piece: usize, visitors: &[(u32, VisitorId)]) {
        let numbers: Vec<u32> = visitors.iter().map(|(number, _)| *number).collect();
        // Reading a piece cannot fail.
        let Some(Ok(taken)) = self.sealed.piece(piece).map(|piece| piece.take(&numbers)) else { return };
        self.sealed.drop_if_empty(piece);
        let Taken { explicit, visits, arrival, client, time, of_rows, properties } = taken;
        let first = self.rows.time.len() as u32;
        let [name, page, hostname] = OfRows::DENSE.map(|column| &of_rows[column as usize]);
        let mut at = 0;
        for (visit, of) in visits.iter().enumerate() {
            let number = self.visitor(visitors[of.visitor as usize].1);
            let visitor = &mut self.visitors[number as usize];
            (visitor.explicit, visitor.was_sealed) = (explicit[of.visitor as usize], true);
            for _ in 0..of.events + of.reports {
                let rows = &mut self.rows;
                let row = first + at as u32;
                push(&mut rows.time, time[at]);
                push(&mut rows.id, u128::from(row).to_be_bytes());
                push(&mut rows.name, name[at]);
                push(&mut rows.page, page[at]);
                push(&mut rows.hostname, hostname[at]);
                push(&mut rows.arrival, arrival[visit]);
                push(&mut rows.client, client[visit]);
                self.push_row(number, row);
                at += 1;
            }
        }
        for column in OfRows::SPARSE {
            let numbers = (first..).zip(&of_rows[column as usize]);
            let column = self.rows.sparse_mut(column);
            numbers.for_each(|(row, number)| column.push(row, *number));
        }
        for property in self.properties.values_mut() {
            if let Ok(found) = properties.binary_search_by_key(&property.number, |(number, _)| *number) {
                let numbers = (first..).zip(&properties[found].1);
                numbers.for_each(|(row, number)| property.column.push(row, *number));
            }
        }
    }
}

impl Rows {
    /// The rows that have a new place.
    fn only(&self, place: &[u32]) -> Self {
        fn only<T: Copy>(column: &[T], place: &[u32]) -> Vec<T> {
            column.iter().zip(place).filter(|(_, place)| **place != GONE).map(|(number, _)| *number).collect()
        }
        let of = |column: &[u32]| only(column, place);
        Self {
            time: of(&self.time),
            id: only(&self.id, place),
            name: of(&self.name),
            page: of(&self.page),
            hostname: of(&self.hostname),
            arrival: of(&self.arrival),
            client: of(&self.client),
            theme: self.theme.only(place),
            letter_type: self.letter_type.only(place),
            element: self.element.only(place),
            depth: self.depth.only(place),
            visible: self.visible.only(place),
            click: [self.click[0].only(place), self.click[1].only(place)],
        }
    }
}

impl Sparse {
    fn only(&self, place: &[u32]) -> Self {
        let kept = self.rows.iter().zip(&self.numbers).filter(|(row, _)| place[**row as usize] != GONE);
        let (rows, numbers) = kept.map(|(row, number)| (place[*row as usize], *number)).unzip();
        Self { rows, numbers }
    }
}
