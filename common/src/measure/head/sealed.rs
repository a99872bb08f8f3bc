//! The pieces of an open day, and which visitor is in which.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::piece::Piece;
use crate::visitor::VisitorId;

/// Where a visitor is: the piece, and its number there.
type Place = (u16, u16);
/// The piece of those that are in none any more.
const NONE: u16 = u16::MAX;

/// Pieces, and their visitors.
#[derive(Debug, Clone, Default)]
pub(super) struct Sealed {
    /// A piece that all visitors have left makes room for another.
    pieces: Vec<Option<Piece>>,
    /// All visitors, by id.
    ids: Vec<[u8; 16]>,
    places: Vec<Place>,
}

impl Sealed {
    /// The pieces there are.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().flatten()
    }

    /// Whether there was never a piece.
    pub(super) const fn is_unused(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds a piece and its visitors, by number.
    pub(super) fn add(&mut self, piece: Piece, visitors: impl IntoIterator<Item = VisitorId>) {
        let free = self.pieces.iter().position(Option::is_none);
        let number = free.unwrap_or(self.pieces.len());
        if free.is_none() {
            self.pieces.push(None);
        }
        self.pieces[number] = Some(piece);
        let places = (0..=u16::MAX).map(|place| (number as u16, place));
        let mut new: Vec<_> = visitors.into_iter().map(|id| *id.as_bytes()).zip(places).collect();
        new.sort_unstable();
        self.merge(&new);
    }

    /// Whether another piece can have a number.
    pub(super) fn has_room(&self) -> bool {
        self.pieces().count() < usize::from(NONE)
    }

    /// Adds visitors in order, in place: a second copy of all of them would be large.
    fn merge(&mut self, new: &[([u8; 16], Place)]) {
        let mut kept = 0;
        for at in 0..self.ids.len() {
            if self.places[at].0 != NONE {
                (self.ids[kept], self.places[kept]) = (self.ids[at], self.places[at]);
                kept += 1;
            }
        }
        let (mut from, mut to, mut new) = (kept, kept + new.len(), new);
        self.ids.reserve_exact(to.saturating_sub(self.ids.len()));
        self.places.reserve_exact(to.saturating_sub(self.places.len()));
        self.ids.resize(to, [0; 16]);
        self.places.resize(to, (NONE, 0));
        while let Some(((id, place), others)) = new.split_last() {
            to -= 1;
            if from > 0 && self.ids[from - 1] > *id {
                from -= 1;
                (self.ids[to], self.places[to]) = (self.ids[from], self.places[from]);
            } else {
                (self.ids[to], self.places[to]) = (*id, *place);
                new = others;
            }
        }
    }

    /// Where a visitor is, who is in no piece from now on.
    pub(super) fn remove(&mut self, id: VisitorId) -> Option<(usize, u32)> {
        let at = self.ids.binary_search(id.as_bytes()).ok()?;
        let (piece, number) = self.places[at];
        self.places[at].0 = NONE;
        (piece != NONE).then_some((piece.into(), number.into()))
    }

    /// The visitors at these places (piece and number), by piece and then by number. They are in none from
    /// now on.
    pub(super) fn remove_all(
        &mut self,
        is_wanted: impl Fn((usize, usize)) -> bool,
    ) -> BTreeMap<usize, Vec<(u32, VisitorId)>> {
        let mut removed: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for (id, (piece, number)) in self.ids.iter().zip(&mut self.places) {
            if *piece != NONE && is_wanted((usize::from(*piece), usize::from(*number))) {
                let visitor = (u32::from(*number), Uuid::from_bytes(*id).into());
                removed.entry(usize::from(*piece)).or_default().push(visitor);
                *piece = NONE;
            }
        }
        removed.values_mut().for_each(|visitors| visitors.sort_unstable());
        removed
    }

    /// Of each piece and visitor the second of its first event, a day later if its id is not explicit, and
    /// how many rows it has.
    pub(super) fn seconds(&self) -> Vec<Vec<(u32, u32)>> {
        // Reading a piece cannot fail.
        let of = |piece: &Option<Piece>| piece.as_ref().and_then(|piece| piece.seconds().ok()).unwrap_or_default();
        self.pieces.iter().map(of).collect()
    }

    /// One of the pieces.
    pub(super) fn piece(&mut self, piece: usize) -> Option<&mut Piece> {
        self.pieces.get_mut(piece)?.as_mut()
    }

    /// Removes a piece that all visitors have left.
    pub(super) fn drop_if_empty(&mut self, piece: usize) {
        self.pieces[piece].take_if(|piece| piece.is_gone());
    }

    /// The bytes of memory that they take.
    pub(super) fn memory(&self) -> usize {
        self.pieces().map(Piece::memory).sum::<usize>()
            + self.pieces.capacity() * size_of::<Option<Piece>>()
            + self.ids.capacity() * 16
            + self.places.capacity() * size_of::<Place>()
    }
}
