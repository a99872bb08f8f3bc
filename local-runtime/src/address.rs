//! Client addresses, as limits need them: counted apart, and never kept.

use std::hash::{BuildHasher, RandomState};

use axum::extract::Request;
use common::App;
use common::http::Network;

/// Turns addresses into keys that mean nothing outside this process: a SipHash under a random
/// key that is never written anywhere.
#[derive(Debug, Default)]
pub(crate) struct AddressKeys(RandomState);

impl AddressKeys {
    /// The key of the client of a request.
    pub(crate) fn of(&self, request: &Request, app: &App) -> u64 {
        self.key(Network::of_client(request.extensions(), request.headers(), &app.config))
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
