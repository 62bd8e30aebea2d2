#![allow(clippy::unwrap_used, reason = "a failing test should panic")]

use super::*;
use crate::service::ErrorCode;

/// Trusts 10.0.0.0/8 and fd00::/8.
fn client(connection: &str, lines: &[(&'static str, &str)]) -> Result<String, ErrorCode> {
    let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let connection = connection.parse().unwrap();
    let client = TrustedProxies::new(networks.into()).client(connection, &headers);
    client.map(|client| client.to_string()).map_err(|error| error.code())
}

const XFF: &str = "x-forwarded-for";
const PROXY: &str = "10.0.0.1:4000";
const REFUSED: Result<&str, ErrorCode> = Err(ErrorCode::InvalidRequest);

fn assert_client(lines: &[(&'static str, &str)], expected: Result<&str, ErrorCode>) {
    assert_eq!(client(PROXY, lines).as_deref().map_err(|code| *code), expected, "{lines:?}");
}

#[test]
fn a_header_of_an_untrusted_address_has_no_effect_not_even_a_malformed_one() {
    for value in ["203.0.113.7", "10.0.0.2", "for=203.0.113.7", "\"", "", "127.0.0.1, 10.0.0.1"] {
        for name in [XFF, "forwarded"] {
            assert_eq!(
                client("192.0.2.1:5", &[(name, value)]),
                Ok("192.0.2.1:5".to_owned()),
                "{name} {value}"
            );
        }
    }
    assert_eq!(client(PROXY, &[]), Ok(PROXY.to_owned()));
}

#[test]
fn x_forwarded_for_names_the_last_address_that_is_no_proxy() {
    for (value, named) in [
        ("203.0.113.7", Ok("203.0.113.7:0")),
        ("203.0.113.7:5000", Ok("203.0.113.7:5000")),
        ("2001:db8::7", Ok("[2001:db8::7]:0")),
        ("[2001:db8::7]", Ok("[2001:db8::7]:0")),
        ("[2001:db8::7]:5000", Ok("[2001:db8::7]:5000")),
        ("::ffff:203.0.113.7", Ok("203.0.113.7:0")),
        ("[::ffff:203.0.113.7]:1", Ok("203.0.113.7:1")),
        // What the client wrote itself is before what the proxies wrote.
        ("127.0.0.1, 203.0.113.7", Ok("203.0.113.7:0")),
        ("garbage\u{e9}, 203.0.113.7", Ok("203.0.113.7:0")),
        ("127.0.0.1, 203.0.113.7, 10.9.9.9, fd00::1", Ok("203.0.113.7:0")),
        ("203.0.113.7, ::ffff:10.9.9.9", Ok("203.0.113.7:0")),
        ("10.0.0.3, 10.0.0.2", Ok("10.0.0.3:0")),
        (" ,\t203.0.113.7 ,, ", Ok("203.0.113.7:0")),
        ("", Ok(PROXY)),
        ("unknown", Ok(PROXY)),
        ("203.0.113.7, unknown, 10.0.0.2", Ok("10.0.0.2:0")),
        ("203.0.113.7, _hidden", Ok(PROXY)),
        ("localhost", REFUSED),
        ("203.0.113.7 10.0.0.2", REFUSED),
        ("203.0.113", REFUSED),
        ("203.0.113.007", REFUSED),
        ("203.0.113.7:", REFUSED),
        ("203.0.113.7:65536", REFUSED),
        ("203.0.113.7:+1", REFUSED),
        ("[203.0.113.7]", REFUSED),
        ("[2001:db8::7", REFUSED),
        ("[2001:db8::7]5", REFUSED),
        ("fe80::1%eth0", REFUSED),
        ("0x7f.1", REFUSED),
        ("2130706433", REFUSED),
        ("for=203.0.113.7", REFUSED),
        ("\"203.0.113.7\"", REFUSED),
        ("_", REFUSED),
        ("203.0.113.7\u{e9}", REFUSED),
    ] {
        assert_client(&[(XFF, value)], named);
    }
    assert_client(&[(XFF, "127.0.0.1"), (XFF, "203.0.113.7, 10.0.0.2")], Ok("203.0.113.7:0"));
    let long = "198.51.100.1, ".repeat(1_000);
    assert_client(&[(XFF, &format!("{long}203.0.113.7"))], Ok("203.0.113.7:0"));
    assert_client(&[(XFF, &"1".repeat(10_000))], REFUSED);
}

#[test]
fn forwarded_is_read_strictly_and_names_the_last_address_that_is_no_proxy() {
    for (value, named) in [
        ("for=203.0.113.7", Ok("203.0.113.7:0")),
        ("For=203.0.113.7;proto=https;by=10.0.0.1", Ok("203.0.113.7:0")),
        ("proto=https ; for=\"203.0.113.7:5000\"; host=\"a;b,c\"", Ok("203.0.113.7:5000")),
        ("for=203.0.113.7:5000", Ok("203.0.113.7:5000")),
        ("for=\"[2001:db8::7]:5000\"", Ok("[2001:db8::7]:5000")),
        ("for=\"[2001:db8::7]\"", Ok("[2001:db8::7]:0")),
        ("for=\"[::ffff:203.0.113.7]\"", Ok("203.0.113.7:0")),
        ("for=\"203.0.113.7:_port\"", Ok("203.0.113.7:0")),
        ("for=\"\\2\\03.0.113.7\"", Ok("203.0.113.7:0")),
        ("for=127.0.0.1, for=203.0.113.7", Ok("203.0.113.7:0")),
        ("for=127.0.0.1,for=203.0.113.7, ,for=10.0.0.2", Ok("203.0.113.7:0")),
        ("for=203.0.113.7, for=unknown", Ok(PROXY)),
        ("for=203.0.113.7, for=_a.b-c_d", Ok(PROXY)),
        ("for=203.0.113.7, proto=https", Ok(PROXY)),
        ("", Ok(PROXY)),
        // A client that opens a quotation mark cannot swallow the entry of the proxy behind it.
        ("for=\"127.0.0.1, for=203.0.113.7", REFUSED),
        ("for=\"127.0.0.1, for=\"[2001:db8::7]\"", REFUSED),
        ("for=\"127.0.0.1\\\", for=\"203.0.113.7\"", REFUSED),
        ("for=127.0.0.1;, for=203.0.113.7", REFUSED),
        ("for=127.0.0.1;for=203.0.113.7", REFUSED),
        ("for=203.0.113.7 10.0.0.2", REFUSED),
        ("for = 203.0.113.7", REFUSED),
        ("for=", REFUSED),
        ("for", REFUSED),
        ("=203.0.113.7", REFUSED),
        ("203.0.113.7", REFUSED),
        ("for=203.0.113.7:port", REFUSED),
        ("for=\"[2001:db8::7]:99999\"", REFUSED),
        ("for=example.org", REFUSED),
        ("for=203.0.113.7\u{e9}", REFUSED),
    ] {
        assert_client(&[("forwarded", value)], named);
    }
    let repeated = [("forwarded", "for=127.0.0.1"), ("forwarded", "for=203.0.113.7")];
    assert_client(&repeated, Ok("203.0.113.7:0"));
    assert_client(&[("forwarded", &"for=198.51.100.1,".repeat(900))], Ok("198.51.100.1:0"));
}

#[test]
fn two_headers_must_name_one_client() {
    let both = |forwarded: &str, listed: &str| client(PROXY, &[("forwarded", forwarded), (XFF, listed)]);
    assert_eq!(both("for=\"203.0.113.7:1\"", "127.0.0.1, 203.0.113.7"), Ok("203.0.113.7:1".to_owned()));
    for (forwarded, listed) in [
        ("for=127.0.0.1", "203.0.113.7"),
        ("for=203.0.113.7", "unknown"),
        ("for=203.0.113.7", "garbage"),
        ("garbage", "203.0.113.7"),
    ] {
        assert_eq!(both(forwarded, listed), Err(ErrorCode::InvalidRequest), "{forwarded} {listed}");
    }
}
