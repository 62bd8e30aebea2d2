//! PROXY protocol, version 2: a trusted proxy names the client before the first byte of TLS or HTTP.
//!
//! The text form, version 1, is not read. Not for: connections of anyone else, whose first bytes are TLS or HTTP.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use ppp::v2::{Addresses, Command, Header, Protocol};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Signature, version, family and length.
const HEAD_BYTES: usize = 16;

/// The longest rest: addresses, and what a proxy adds to them, such as the names in a client's certificate.
const MAX_REST_BYTES: usize = 4 * 1024;

/// Reads the header, and not a byte more. The client's address; the connection's own where the proxy speaks for
/// itself, as its health checks do, or does not know the client.
///
/// # Errors
/// When there is no valid header; nothing may be served then.
pub(super) async fn client<S: AsyncRead + Unpin>(
    stream: &mut S,
    connection: SocketAddr,
) -> io::Result<SocketAddr> {
    let mut bytes = vec![0; HEAD_BYTES];
    stream.read_exact(&mut bytes).await?;
    // Other first bytes must not be read as a length.
    if !bytes.starts_with(ppp::v2::PROTOCOL_PREFIX) {
        return Err(malformed("no PROXY header of version 2"));
    }
    let length = match bytes.last_chunk::<2>() {
        Some(bytes) => usize::from(u16::from_be_bytes(*bytes)),
        None => 0,
    };
    if length > MAX_REST_BYTES {
        return Err(malformed("the PROXY header is too long"));
    }
    bytes.resize(HEAD_BYTES + length, 0);
    let (_, rest) = bytes.split_at_mut(HEAD_BYTES);
    stream.read_exact(rest).await?;
    let header = Header::try_from(&bytes[..]).map_err(|error| malformed(&error.to_string()))?;
    match (header.command, header.protocol, header.addresses) {
        (Command::Local, ..) | (Command::Proxy, _, Addresses::Unspecified) => Ok(connection),
        (Command::Proxy, Protocol::Stream, Addresses::IPv4(addresses)) => {
            Ok((addresses.source_address, addresses.source_port).into())
        }
        (Command::Proxy, Protocol::Stream, Addresses::IPv6(addresses)) => {
            let address = SocketAddr::from((addresses.source_address, addresses.source_port));
            Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
        }
        (Command::Proxy, ..) => Err(malformed("the PROXY header is of no TCP connection")),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test should panic")]

    use super::*;

    const PREFIX: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [PREFIX, &[command, family], &length, rest].concat()
    }

    fn ipv4() -> Vec<u8> {
        [&[203, 0, 113, 7][..], &[10, 0, 0, 1], &5_000_u16.to_be_bytes(), &443_u16.to_be_bytes()].concat()
    }

    fn ipv6(source: &str) -> Vec<u8> {
        let source: std::net::Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &[0; 16], &5_000_u16.to_be_bytes(), &443_u16.to_be_bytes()].concat()
    }

    /// The client that the bytes name, and what is left of them.
    async fn read(bytes: &[u8]) -> Result<(String, String), ErrorKind> {
        let mut stream = bytes;
        let named = client(&mut stream, ([10, 0, 0, 1], 4_000).into()).await;
        named
            .map(|client| (client.to_string(), String::from_utf8_lossy(stream).into_owned()))
            .map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn a_header_names_the_client_and_what_follows_it_is_left() {
        let more = [&ipv4()[..], &[0x02, 0, 3, b'a', b'b', b'c']].concat();
        for (bytes, client) in [
            (header(0x21, 0x11, &ipv4()), "203.0.113.7:5000"),
            (header(0x21, 0x11, &more), "203.0.113.7:5000"),
            (header(0x21, 0x21, &ipv6("2001:db8::7")), "[2001:db8::7]:5000"),
            (header(0x21, 0x21, &ipv6("::ffff:203.0.113.7")), "203.0.113.7:5000"),
            (header(0x20, 0x00, &[]), "10.0.0.1:4000"),
            (header(0x20, 0x11, &ipv4()), "10.0.0.1:4000"),
            (header(0x21, 0x00, &[]), "10.0.0.1:4000"),
        ] {
            let request = [&bytes[..], b"GET /"].concat();
            assert_eq!(read(&request).await, Ok((client.to_owned(), "GET /".to_owned())), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let cut = header(0x21, 0x11, &ipv4());
        for length in 0..cut.len() {
            assert_eq!(read(&cut[..length]).await, Err(ErrorKind::UnexpectedEof), "{length}");
        }
        for bytes in [
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 443\r\n".to_vec(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaa".to_vec(),
            header(0x11, 0x11, &ipv4()),
            header(0x22, 0x11, &ipv4()),
            header(0x21, 0x12, &ipv4()),
            header(0x21, 0x31, &[0; 216]),
            header(0x21, 0x41, &ipv4()),
            header(0x21, 0x13, &ipv4()),
            header(0x21, 0x11, &ipv4()[..11]),
            header(0x21, 0x21, &ipv4()),
            header(0x21, 0x11, &[0; MAX_REST_BYTES + 1]),
        ] {
            assert_eq!(read(&bytes).await, Err(ErrorKind::InvalidData), "{bytes:?}");
        }
    }
}
