//! Networks of clients, as limits count them.

use std::net::IpAddr;

use http::{Extensions, HeaderMap};

use super::client_address;
use crate::config::Config;

/// What tells clients apart: an IPv4 address, or an IPv6 /64, because one client commands all of
/// it; clients without an address are one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network([u8; 9]);

/// Never shows the address.
impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    /// How many budgets of one network a [`Self::wider`] one has.
    pub const WIDER: u8 = 16;

    /// That of the client of a request, see [`client_address`].
    #[must_use]
    pub fn of_client(extensions: &Extensions, headers: &HeaderMap, config: &Config) -> Self {
        Self::new(client_address(extensions, headers, config))
    }

    /// That of an address.
    #[must_use]
    pub fn new(address: Option<IpAddr>) -> Self {
        let (kind, bits) = match address.map(|address| address.to_canonical()) {
            None => (0, 0),
            Some(IpAddr::V4(v4)) => (4, u64::from(v4.to_bits())),
            Some(IpAddr::V6(v6)) => (6, (v6.to_bits() >> 64) as u64),
        };
        let mut bytes = [kind; 9];
        bytes[1..].copy_from_slice(&bits.to_be_bytes());
        Self(bytes)
    }

    /// The IPv6 /48 that it is part of. Providers give so much to one customer, who then has 65,536
    /// networks; limits therefore give all of them together [`Self::WIDER`] budgets.
    #[must_use]
    pub fn wider(self) -> Option<Self> {
        let [6, prefix @ .., _, _] = self.0 else { return None };
        let mut bytes = [48; 9];
        bytes[1..7].copy_from_slice(&prefix);
        bytes[7..].fill(0);
        Some(Self(bytes))
    }

    /// As bytes, for a key that other processes make too.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_addresses_or_prefixes() {
        let network = |text: &str| Network::new(Some(text.parse().unwrap()));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(Network::new(None), network("0.0.0.0"));
        assert_eq!(network("2001:db8:1:2::1").wider(), network("2001:db8:1:ffff::1").wider());
        assert_ne!(network("2001:db8:1:2::1").wider(), network("2001:db8:2:2::1").wider());
        assert_ne!(network("2001:db8:1:0::1").wider(), Some(network("2001:db8:1:0::1")));
        assert_eq!((network("192.0.2.1").wider(), Network::new(None).wider()), (None, None));
    }
}
