//! Connections per client network: an IPv4 address, or the /64 prefix that one IPv6 customer has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The key of every limit that holds per address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientNetwork(IpAddr);

impl From<IpAddr> for ClientNetwork {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let prefix = u128::from(address) >> 64 << 64;
                Self(Ipv6Addr::from(prefix).into())
            }
            address @ IpAddr::V4(_) => Self(address),
        }
    }
}

/// How many connections a client network may have; it can change while some are open. Cheap to clone, shared.
#[derive(Clone, Debug)]
pub struct NetworkQuota(Arc<AtomicUsize>);

impl NetworkQuota {
    /// At most this many; 0 is no limit.
    pub fn new(max: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(max)))
    }

    /// Applies to connections that are opened from now on.
    pub fn set(&self, max: usize) {
        self.0.store(max, Ordering::Relaxed);
    }

    fn allows_one_more(&self, open: usize) -> bool {
        let max = self.0.load(Ordering::Relaxed);
        max == 0 || open < max
    }
}

/// Open connections by network: no more entries than connections.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimit {
    quota: NetworkQuota,
    open: Arc<Mutex<HashMap<ClientNetwork, usize>>>,
}

impl ConnectionLimit {
    pub(crate) fn new(quota: NetworkQuota) -> Self {
        Self { quota, open: Arc::default() }
    }

    /// Counts a connection until its [`ConnectionGuard`] is dropped; none where the network has reached its quota.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<ConnectionGuard> {
        let network = address.into();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_default();
        if !self.quota.allows_one_more(*count) {
            return None;
        }
        *count += 1;
        drop(open);
        Some(ConnectionGuard { network, limit: self.clone() })
    }
}

/// A connection that counts.
#[derive(Debug)]
pub(crate) struct ConnectionGuard {
    network: ClientNetwork,
    limit: ConnectionLimit,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut open = self.limit.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_its_quota_and_gets_it_back() {
        let limit = ConnectionLimit::new(NetworkQuota::new(2));
        let first = limit.enter(ip("192.0.2.1")).unwrap();
        let second = limit.enter(ip("::ffff:192.0.2.1")).unwrap();
        assert!(limit.enter(ip("192.0.2.1")).is_none());
        let other = limit.enter(ip("192.0.2.2")).unwrap();
        drop(first);
        let third = limit.enter(ip("192.0.2.1")).unwrap();
        drop((second, third, other));
        assert!(limit.open.lock().unwrap().is_empty(), "counts without connections are kept");
    }

    #[test]
    fn the_addresses_of_one_ipv6_customer_count_as_one() {
        assert_eq!(ClientNetwork::from(ip("2001:db8::1")), ClientNetwork::from(ip("2001:db8::ffff:1")));
        assert_ne!(ClientNetwork::from(ip("2001:db8::1")), ClientNetwork::from(ip("2001:db8:0:1::1")));
        assert_eq!(ClientNetwork::from(ip("::ffff:192.0.2.1")), ClientNetwork::from(ip("192.0.2.1")));
    }
}
