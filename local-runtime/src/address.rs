//! Client addresses, as limits need them: counted apart, and never kept.

use std::hash::{BuildHasher, RandomState};

use axum::extract::Request;
use common::App;
use common::http::Network;

/// What a client is counted under: its network, and the IPv6 /48 that this is part of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    own: u64,
    wider: Option<u64>,
}

impl Keys {
    /// Each key, and how many budgets of one network it has.
    pub(crate) fn shares(self) -> impl Iterator<Item = (u64, usize)> {
        std::iter::once((self.own, 1)).chain(self.wider.map(|wider| (wider, usize::from(Network::WIDER))))
    }
}

/// Turns addresses into keys that mean nothing outside this process: a SipHash under a random
/// key that is never written anywhere.
#[derive(Debug, Default)]
pub(crate) struct AddressKeys(RandomState);

impl AddressKeys {
    /// The keys of the client of a request.
    pub(crate) fn of(&self, request: &Request, app: &App) -> Keys {
        self.keys(Network::of_client(request.extensions(), request.headers(), &app.config))
    }

    /// What clients in a network are counted under.
    pub(crate) fn keys(&self, network: Network) -> Keys {
        Keys { own: self.key(network), wider: network.wider().map(|wider| self.key(wider)) }
    }

    /// The key of clients in a network.
    pub(crate) fn key(&self, network: Network) -> u64 {
        self.0.hash_one(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_of_one_process_only() {
        let network = Network::new(Some("192.0.2.1".parse().unwrap()));
        let keys = AddressKeys::default();
        assert_eq!(keys.key(network), keys.key(network));
        assert_ne!(AddressKeys::default().key(network), keys.key(network));
    }
}
