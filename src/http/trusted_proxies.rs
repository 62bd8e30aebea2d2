//! Proxies that are believed about the address of a client, and what they say of it.
//!
//! Everyone can write `Forwarded` and `X-Forwarded-For`: they count on a connection from a trusted address alone, and
//! from their end backwards only as far as trusted proxies wrote them. Not for: the PROXY protocol, which comes before
//! HTTP (`server::proxy_protocol`).

mod forwarded;
mod node;

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;

use self::node::{Hop, Malformed, node};
use crate::service::{ErrorCode, ServiceError};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks of proxies; none by default.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// The proxies in these networks.
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether a connection from this address is a proxy's.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client behind a connection: its own address, or the one that trusted proxies name.
    pub(crate) fn client(
        &self,
        connection: SocketAddr,
        headers: &HeaderMap,
    ) -> Result<SocketAddr, ServiceError> {
        if !self.contain(connection.ip()) {
            return Ok(connection);
        }
        let invalid = |message| ServiceError::new(ErrorCode::InvalidRequest, message);
        let forwarded = || {
            let hops = forwarded::hops(headers.get_all(header::FORWARDED));
            let client = hops.and_then(|hops| self.behind(connection, hops.into_iter().rev().map(Ok)));
            client.map_err(|Malformed| invalid("the header Forwarded from the proxy is malformed"))
        };
        let listed = || {
            let client = self.behind(connection, x_forwarded_for(headers));
            client.map_err(|Malformed| invalid("the header X-Forwarded-For from the proxy is malformed"))
        };
        match (headers.contains_key(header::FORWARDED), headers.contains_key(&X_FORWARDED_FOR)) {
            (false, false) => Ok(connection),
            (true, false) => forwarded(),
            (false, true) => listed(),
            (true, true) => {
                let (one, other) = (forwarded()?, listed()?);
                // A proxy writes one of them and may pass on what the client wrote as the other.
                let message = "Forwarded and X-Forwarded-For from the proxy name different clients: it must \
                               remove the one that it does not write";
                (one.ip() == other.ip()).then_some(one).ok_or_else(|| invalid(message))
            }
        }
    }

    /// The first address, from the connection outwards, that is no trusted proxy's.
    fn behind(
        &self,
        connection: SocketAddr,
        hops: impl Iterator<Item = Result<Hop, Malformed>>,
    ) -> Result<SocketAddr, Malformed> {
        let mut client = connection;
        for hop in hops {
            if !self.contain(client.ip()) {
                break;
            }
            match hop? {
                Hop::Address(address) => client = address,
                Hop::Hidden => break,
            }
        }
        Ok(client)
    }
}

/// The addresses of all headers of this name, the last one first. What a client wrote before a proxy's is not read.
fn x_forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Result<Hop, Malformed>> {
    let values: Vec<&HeaderValue> = headers.get_all(&X_FORWARDED_FOR).iter().collect();
    values.into_iter().rev().flat_map(|value| {
        let items = value.as_bytes().rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        items
            .filter(|item| !item.is_empty())
            .map(|item| node(std::str::from_utf8(item).map_err(|_| Malformed)?))
    })
}

#[cfg(test)]
mod tests;
