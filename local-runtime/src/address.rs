//! Client addresses, as limits need them: counted apart, and never kept.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use axum::extract::Request;
use common::App;
use common::http::client_address;

/// Turns addresses into keys that mean nothing outside this process: a SipHash under a random
/// key that is never written anywhere.
#[derive(Debug, Default)]
pub(crate) struct AddressKeys(RandomState);

impl AddressKeys {
    /// The key of the client of a request.
    pub(crate) fn of(&self, request: &Request, app: &App) -> u64 {
        self.key(Network::of(request, app))
    }

    /// The key of clients in a network.
    pub(crate) fn key(&self, network: Network) -> u64 {
        self.0.hash_one(network)
    }
}

/// What tells clients apart: an IPv4 address, or an IPv6 /64, because one client commands all of
/// it; clients without an address are one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network([u8; 9]);

/// Never shows the address.
impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    /// That of the client of a request.
    pub(crate) fn of(request: &Request, app: &App) -> Self {
        Self::new(client_address(request.extensions(), request.headers(), &app.config))
    }

    fn new(address: Option<IpAddr>) -> Self {
        let (kind, bits) = match address.map(|address| address.to_canonical()) {
            None => (0, 0),
            Some(IpAddr::V4(v4)) => (4, u64::from(v4.to_bits())),
            Some(IpAddr::V6(v6)) => (6, (v6.to_bits() >> 64) as u64),
        };
        let mut bytes = [kind; 9];
        bytes[1..].copy_from_slice(&bits.to_be_bytes());
        Self(bytes)
    }

    /// As bytes, for a key that other processes make too.
    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_networks_apart() {
        let keys = AddressKeys::default();
        let key = |text: &str| keys.key(Network::new(Some(text.parse().unwrap())));
        assert_eq!(key("192.0.2.1"), key("192.0.2.1"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(keys.key(Network::new(None)), key("0.0.0.0"));
    }

    #[test]
    fn keys_are_of_one_process_only() {
        let network = Network::new(Some("192.0.2.1".parse().unwrap()));
        assert_ne!(AddressKeys::default().key(network), AddressKeys::default().key(network));
    }
}
