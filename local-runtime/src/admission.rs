//! Who may connect: so many in all, so many from one address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGauge;

use crate::address::Keys;

/// Counts open connections.
#[derive(Debug)]
pub(crate) struct Admission {
    most: usize,
    most_per_address: usize,
    gauge: IntGauge,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<u64, usize>,
}

/// A place among the open connections; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    address: Option<Keys>,
}

impl Admission {
    /// With `gauge` showing how many connections are open.
    pub(crate) fn new(most: usize, most_per_address: usize, gauge: IntGauge) -> Self {
        Self { most, most_per_address, gauge, open: Mutex::default() }
    }

    /// A place for one more connection of the address with these keys, if there is one. Without keys,
    /// only the connections in all are limited.
    pub(crate) fn admit(self: &Arc<Self>, address: Option<Keys>) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.most {
            return None;
        }
        if let Some(address) = address {
            let is_full = |(key, budgets)| {
                let of_key = open.by_address.get(&key).copied().unwrap_or(0);
                of_key >= self.most_per_address.saturating_mul(budgets)
            };
            if address.shares().any(is_full) {
                return None;
            }
            for (key, _) in address.shares() {
                *open.by_address.entry(key).or_default() += 1;
            }
        }
        open.all += 1;
        self.gauge.set(open.all as i64);
        Some(Place { admission: Arc::clone(self), address })
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        self.admission.gauge.set(open.all as i64);
        let Some(address) = self.address else { return };
        for (key, _) in address.shares() {
            if let Some(of_key) = open.by_address.get_mut(&key) {
                *of_key -= 1;
                if *of_key == 0 {
                    open.by_address.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use common::http::Network;

    use super::*;
    use crate::address::AddressKeys;

    /// A provider gives one customer 65,536 networks.
    #[test]
    fn the_networks_of_one_customer_have_sixteen_budgets() {
        let admission = Arc::new(Admission::new(1_000, 2, IntGauge::new("open", "open").unwrap()));
        let keys = AddressKeys::default();
        let network = |last| Some(keys.keys(Network::new(Some([0x2001, 0xdb8, 1, last, 0, 0, 0, 1].into()))));
        let places: Vec<_> = (0..100).filter_map(|last| admission.admit(network(last))).collect();
        assert_eq!(places.len(), 32);
        drop(places);
        assert!(admission.open.lock().unwrap().by_address.is_empty());
    }

    /// The earlier service documented a limit and did not enforce it.
    #[test]
    fn places_are_limited_in_all_and_by_address() {
        let gauge = IntGauge::new("open", "open").unwrap();
        let admission = Arc::new(Admission::new(3, 2, gauge.clone()));
        let keys = AddressKeys::default();
        let address = |last: u8| Some(keys.keys(Network::new(Some([192, 0, 2, last].into()))));
        let first = admission.admit(address(1));
        let second = admission.admit(address(1));
        assert!(first.is_some() && second.is_some());
        assert!(admission.admit(address(1)).is_none(), "two an address");
        let third = admission.admit(None);
        assert!(third.is_some());
        assert!(admission.admit(None).is_none() && admission.admit(address(3)).is_none(), "three in all");
        assert_eq!(gauge.get(), 3);
        drop(second);
        assert!(admission.admit(address(1)).is_some(), "and free again at once");
        drop((first, third));
        assert_eq!(admission.open(), 0);
        assert!(admission.open.lock().unwrap().by_address.is_empty(), "no address is remembered");
        assert_eq!(gauge.get(), 0);
    }
}
