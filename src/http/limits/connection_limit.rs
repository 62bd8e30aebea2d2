//! Who shares a limit: an IPv4 address, or the /64 of an IPv6 one, which is what one customer has. And how many
//! connections each has open.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What limits by address count under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
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

/// How many connections each address may have; can change while there are some. Cheap to clone, shared.
#[derive(Clone, Debug)]
pub struct Share(Arc<AtomicUsize>);

impl Share {
    /// At most so many; 0 is no cap.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(most)))
    }

    /// From the next connection on.
    pub fn set(&self, most: usize) {
        self.0.store(most, Ordering::Relaxed);
    }

    fn has_room_beside(&self, open: usize) -> bool {
        let most = self.0.load(Ordering::Relaxed);
        most == 0 || open < most
    }
}

/// Open connections by address: no more entries than connections.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    share: Share,
    open: Arc<Mutex<HashMap<Network, usize>>>,
}

impl Addresses {
    /// None is open yet.
    pub(crate) fn new(share: Share) -> Self {
        Self { share, open: Arc::default() }
    }

    /// Counts a connection until its [`Entered`] is dropped; none where the address has its share.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Entered> {
        let network = address.into();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_default();
        if !self.share.has_room_beside(*count) {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Entered { network, addresses: self.clone() })
    }
}

/// A connection that counts.
#[derive(Debug)]
pub(crate) struct Entered {
    network: Network,
    addresses: Addresses,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn an_address_has_its_share_and_gets_it_back() {
        let addresses = Addresses::new(Share::new(2));
        let first = addresses.enter(ip("192.0.2.1")).unwrap();
        let second = addresses.enter(ip("::ffff:192.0.2.1")).unwrap();
        assert!(addresses.enter(ip("192.0.2.1")).is_none());
        let other = addresses.enter(ip("192.0.2.2")).unwrap();
        drop(first);
        let third = addresses.enter(ip("192.0.2.1")).unwrap();
        drop((second, third, other));
        assert!(addresses.open.lock().unwrap().is_empty(), "counts of nobody are kept");
    }

    #[test]
    fn the_addresses_of_one_ipv6_customer_count_as_one() {
        assert_eq!(Network::from(ip("2001:db8::1")), Network::from(ip("2001:db8::ffff:1")));
        assert_ne!(Network::from(ip("2001:db8::1")), Network::from(ip("2001:db8:0:1::1")));
        assert_eq!(Network::from(ip("::ffff:192.0.2.1")), Network::from(ip("192.0.2.1")));
    }
}
