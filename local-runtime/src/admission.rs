//! Who may connect: so many in all, so many from one address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGauge;

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
    address: Option<u64>,
}

impl Admission {
    /// With `gauge` showing how many connections are open.
    pub(crate) fn new(most: usize, most_per_address: usize, gauge: IntGauge) -> Self {
        Self { most, most_per_address, gauge, open: Mutex::default() }
    }

    /// A place for one more connection of the address with this key, if there is one. Without a key,
    /// only the connections in all are limited.
    pub(crate) fn admit(self: &Arc<Self>, address: Option<u64>) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.most {
            return None;
        }
        if let Some(address) = address {
            let of_address = open.by_address.get(&address).copied().unwrap_or(0);
            if of_address >= self.most_per_address {
                return None;
            }
            open.by_address.insert(address, of_address + 1);
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
        if let Some(of_address) = open.by_address.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                open.by_address.remove(&address);
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
        let gauge = IntGauge::new("open", "open").unwrap();
        let admission = Arc::new(Admission::new(3, 2, gauge.clone()));
        let first = admission.admit(Some(1));
        let second = admission.admit(Some(1));
        assert!(first.is_some() && second.is_some());
        assert!(admission.admit(Some(1)).is_none(), "two an address");
        let third = admission.admit(None);
        assert!(third.is_some());
        assert!(admission.admit(None).is_none() && admission.admit(Some(3)).is_none(), "three in all");
        assert_eq!(gauge.get(), 3);
        drop(second);
        assert!(admission.admit(Some(1)).is_some(), "and free again at once");
        drop((first, third));
        assert_eq!(admission.open(), 0);
        assert!(admission.open.lock().unwrap().by_address.is_empty(), "no address is remembered");
        assert_eq!(gauge.get(), 0);
    }
}
