//! Who may connect: so many in all, so many from one address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use common::metrics::Metrics;

/// Counts open connections.
#[derive(Debug)]
pub(super) struct Admission {
    most: usize,
    most_per_address: usize,
    metrics: Arc<Metrics>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<u64, usize>,
}

/// A place among the open connections; dropping it frees it.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    address: u64,
}

impl Admission {
    pub(super) fn new(most: usize, most_per_address: usize, metrics: Arc<Metrics>) -> Self {
        Self { most, most_per_address, metrics, open: Mutex::default() }
    }

    /// A place for one more connection of the address with this key, if there is one.
    pub(super) fn admit(self: &Arc<Self>, address: u64) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= self.most || of_address >= self.most_per_address {
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, of_address + 1);
        self.metrics.websocket_connections.set(open.all as i64);
        Some(Place { admission: Arc::clone(self), address })
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        self.admission.metrics.websocket_connections.set(open.all as i64);
        if let Some(of_address) = open.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The earlier service documented a limit and did not enforce it.
    #[test]
    fn places_are_limited_in_all_and_by_address() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let admission = Arc::new(Admission::new(3, 2, Arc::clone(&metrics)));
        let first = admission.admit(1);
        let second = admission.admit(1);
        assert!(first.is_some() && second.is_some());
        assert!(admission.admit(1).is_none(), "two an address");
        let third = admission.admit(2);
        assert!(third.is_some());
        assert!(admission.admit(3).is_none(), "three in all");
        assert_eq!(metrics.websocket_connections.get(), 3);
        drop(second);
        assert!(admission.admit(1).is_some(), "and free again at once");
        drop((first, third));
        assert_eq!(admission.open(), 0);
        assert!(admission.open.lock().unwrap().by_address.is_empty(), "no address is remembered");
        assert_eq!(metrics.websocket_connections.get(), 0);
    }
}
