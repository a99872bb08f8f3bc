//! Memory that requests share: so much in all, and so much for the requests of one network.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Network;

/// Bytes that may be held at the same time.
#[derive(Debug)]
pub struct Room {
    most: usize,
    most_of_network: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_network: Option<HashMap<Network, usize>>,
}

/// What one request holds of a [`Room`]; dropping it gives the bytes back.
#[derive(Debug)]
pub struct Share<'a> {
    room: &'a Room,
    network: Network,
    bytes: usize,
}

impl Room {
    /// Room for `most` bytes, of which one network may have `most_of_network`.
    #[must_use]
    pub const fn new(most: usize, most_of_network: usize) -> Self {
        Self { most, most_of_network, held: Mutex::new(Held { all: 0, by_network: None }) }
    }

    /// A share of a network's request, with nothing in it.
    pub const fn share(&self, network: Network) -> Share<'_> {
        Share { room: self, network, bytes: 0 }
    }
}

impl Share<'_> {
    /// Takes this many more bytes; answers whether there was room. If not, the share is as it was.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let mut held = self.room.held.lock().unwrap_or_else(PoisonError::into_inner);
        let all = held.all.saturating_add(bytes);
        let of_network = held.by_network.get_or_insert_default().entry(self.network).or_default();
        let fits = all <= self.room.most && of_network.saturating_add(bytes) <= self.room.most_of_network;
        if fits {
            *of_network += bytes;
            held.all = all;
            self.bytes += bytes;
        } else if *of_network == 0 {
            held.by_network.get_or_insert_default().remove(&self.network);
        }
        fits
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut held = self.room.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all -= self.bytes;
        let by_network = held.by_network.get_or_insert_default();
        if let Some(of_network) = by_network.get_mut(&self.network) {
            *of_network -= self.bytes;
            if *of_network == 0 {
                by_network.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_in_all_and_by_network_and_given_back() {
        let network = |last: u8| Network::new(Some([192, 0, 2, last].into()));
        let room = Room::new(10, 6);
        let (mut a, mut b) = (room.share(network(1)), room.share(network(1)));
        assert!(a.grow(4) && b.grow(2));
        assert!(!a.grow(1), "six a network");
        let mut c = room.share(network(2));
        assert!(c.grow(4));
        assert!(!room.share(network(3)).grow(1), "ten in all");
        drop(a);
        assert!(b.grow(4));
        drop((b, c));
        let held = room.held.into_inner().unwrap();
        assert_eq!(held.all, 0);
        assert!(held.by_network.unwrap().is_empty(), "no network is remembered");
    }
}
