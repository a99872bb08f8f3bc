//! Ports for servers that cannot ask the kernel for one.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::random;

/// Below the ports that the kernel gives to outgoing connections, so that a server that is
/// down for a while finds its port free when it comes back.
const PORTS: Range<u16> = 20_000..32_000;

/// A port that is free right now. Another process may take it before its user does, so a caller
/// that starts a server on it has to be ready to try another.
#[must_use]
pub fn free() -> u16 {
    loop {
        let port = PORTS.start + (random::fresh() % u64::from(PORTS.end - PORTS.start)) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
