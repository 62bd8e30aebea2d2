//! From where a token or a key may be used.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

/// Networks in CIDR form; an empty list is everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// The text is not a list of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a network is an address and a prefix such as 10.1.0.0/16 or fd00::/8, without bits behind the prefix; at most 16"
)]
pub struct ParseNetworkError;

const MOST: usize = 16;

impl Networks {
    /// This machine alone: 127.0.0.0/8 and ::1/128.
    pub fn loopback() -> Self {
        "127.0.0.0/8 ::1/128".parse().unwrap_or_default()
    }

    /// Whether there is no restriction.
    pub const fn is_everywhere(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the address is in one of them. An IPv4 address in IPv6 form is the IPv4 address.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.is_everywhere() || self.0.iter().any(|network| network.contains(&address))
    }

    /// The networks.
    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }
}

/// Networks with a space between: the form that is stored.
impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{network}")?;
        }
        Ok(())
    }
}

impl FromStr for Networks {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let network = |word: &str| {
            let network: IpNet = word.parse().ok()?;
            (network.trunc() == network).then_some(network)
        };
        let networks: Vec<_> =
            text.split_ascii_whitespace().map(network).collect::<Option<_>>().ok_or(ParseNetworkError)?;
        if networks.len() > MOST { Err(ParseNetworkError) } else { Ok(Self(networks)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn an_address_is_inside_or_outside_and_loopback_is_this_machine() {
        let networks: Networks = "10.1.0.0/16 fd00::/8".parse().unwrap();
        for (address, inside) in [
            ("10.1.255.255", true),
            ("::ffff:10.1.0.1", true),
            ("10.2.0.0", false),
            ("fd12::1", true),
            ("fe80::1", false),
        ] {
            assert_eq!(networks.contain(address.parse().unwrap()), inside, "{address}");
        }
        for (address, inside) in
            [("127.0.0.1", true), ("::1", true), ("::ffff:127.0.0.1", true), ("10.0.0.1", false)]
        {
            assert_eq!(Networks::loopback().contain(address.parse().unwrap()), inside, "{address}");
        }
        assert!(Networks::default().contain("8.8.8.8".parse().unwrap()));
        assert_eq!(networks.to_string().parse(), Ok(networks));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["10.1.0.0", "10.1.0.1/16", "10.1.0.0/33", "x", "fd00::/129", &"10.0.0.0/8 ".repeat(17)] {
            assert_eq!(text.parse::<Networks>(), Err(ParseNetworkError), "{text}");
        }
    }
}
