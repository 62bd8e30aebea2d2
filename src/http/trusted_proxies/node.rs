//! Nodes of a forwarding header: what one proxy says of the client before it.

use std::net::{IpAddr, SocketAddr};

/// What one step of a header says of the client behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hop {
    /// Its address, and its port or 0.
    Address(SocketAddr),
    /// The proxy hides it.
    Hidden,
}

/// A header that a proxy would not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The address of a node, with or without a port: RFC 7239, section 6, and the forms that `X-Forwarded-For` has beside.
pub(super) fn node(text: &str) -> Result<Hop, Malformed> {
    let is_hidden = |text: &str| {
        text.eq_ignore_ascii_case("unknown")
            || text.strip_prefix('_').is_some_and(|name| {
                !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            })
    };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(Malformed)?;
            let address = host.parse().map_err(|_| Malformed).map(IpAddr::V6)?;
            (Some(address), port)
        }
        None => match text.parse::<IpAddr>() {
            Ok(address) => (Some(address), ""),
            Err(_) => {
                let end = text.find(':').unwrap_or(text.len());
                let (host, port) = text.split_at_checked(end).ok_or(Malformed)?;
                if is_hidden(host) {
                    (None, port)
                } else {
                    (Some(IpAddr::V4(host.parse().map_err(|_| Malformed)?)), port)
                }
            }
        },
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => 0,
        Some(port) if is_hidden(port) => 0,
        Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().map_err(|_| Malformed)?
        }
        Some(_) | None => return Err(Malformed),
    };
    Ok(host.map_or(Hop::Hidden, |host| Hop::Address(SocketAddr::new(host.to_canonical(), port))))
}
