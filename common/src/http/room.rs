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
    /// Room for `most` bytes, of which one network may have `most_of_network`, and an IPv6 /48 that much
    /// or half of all, whichever is more.
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
    /// The networks that it counts for, and how much each may have.
    fn networks(&self) -> impl Iterator<Item = (Network, usize)> + use<> {
        let Room { most, most_of_network, .. } = *self.room;
        let wider = self.network.wider().map(|wider| (wider, most_of_network.max(most / 2)));
        std::iter::once((self.network, most_of_network)).chain(wider)
    }

    /// Takes this many more bytes; answers whether there was room. If not, the share is as it was.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let mut held = self.room.held.lock().unwrap_or_else(PoisonError::into_inner);
        let all = held.all.saturating_add(bytes);
        let by_network = held.by_network.get_or_insert_default();
        let fits = all <= self.room.most
            && self
                .networks()
                .all(|(network, most)| by_network.get(&network).copied().unwrap_or(0).saturating_add(bytes) <= most);
        if fits {
            for (network, _) in self.networks() {
                *by_network.entry(network).or_default() += bytes;
            }
            held.all = all;
            self.bytes += bytes;
        }
        fits
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut held = self.room.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all -= self.bytes;
        let by_network = held.by_network.get_or_insert_default();
        for (network, _) in self.networks() {
            if let Some(of_network) = by_network.get_mut(&network) {
                *of_network -= self.bytes;
                if *of_network == 0 {
                    by_network.remove(&network);
                }
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

    #[test]
    fn the_networks_of_one_customer_share_half() {
        let network = |last: u16| Network::new(Some([0x2001, 0xdb8, 1, last, 0, 0, 0, 1].into()));
        let room = Room::new(10, 2);
        let mut shares: Vec<_> = (0..10).map(|last| room.share(network(last))).collect();
        let fitted = shares.iter_mut().filter_map(|share| share.grow(1).then_some(())).count();
        assert_eq!(fitted, 5);
        assert!(room.share(Network::new(Some([192, 0, 2, 1].into()))).grow(2), "others have room");
        drop(shares);
        assert!(room.held.into_inner().unwrap().by_network.unwrap().is_empty());
    }
}
