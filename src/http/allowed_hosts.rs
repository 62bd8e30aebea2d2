//! Names by which clients reach this service: the `Host` of a request must be one of them.
//!
//! Against DNS rebinding: a web page whose name is made to point here still sends its own name. Not for: health and
//! metrics, which monitoring asks for by whatever name it has.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

use crate::service::operation::{HEALTH, METRICS, OperationInfo, READY, VERSION};
use crate::service::{ErrorCode, ServiceError};

/// What is answered under every name.
const EXEMPT: [OperationInfo; 4] = [HEALTH, METRICS, READY, VERSION];

/// The names.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts {
    names: Vec<String>,
    listen: Option<IpAddr>,
}

impl AllowedHosts {
    /// Loopback names, the address that is listened on (any address where it is the unspecified one), the host of the
    /// public URL, and `more`.
    pub fn new(listen: IpAddr, public_url: Option<&str>, more: &[String]) -> Self {
        let public = public_url.and_then(|url| url.parse::<Uri>().ok());
        let public = public.as_ref().and_then(Uri::host).map(normal);
        let names = more.iter().map(|name| normal(name)).chain(public);
        Self { names: names.chain(["localhost".to_owned()]).collect(), listen: Some(listen) }
    }

    /// Refuses a request for another name. One without a name is not from a browser.
    pub(crate) fn check(
        &self,
        operation: Option<&OperationInfo>,
        target: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), ServiceError> {
        let hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
        let mut named = target.authority().map(Authority::as_str).into_iter().chain(hosts);
        if operation.is_some_and(|operation| EXEMPT.contains(operation))
            || named.all(|host| self.allows(host))
        {
            return Ok(());
        }
        let message = "this service has another name than the one in Host; server.allowed_hosts can add it";
        Err(ServiceError::new(ErrorCode::HostNotAllowed, message))
    }

    fn allows(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        let host = normal(authority.host());
        // An address is not a name that an attacker can point elsewhere.
        let is_ours = |address: IpAddr| {
            let address = address.to_canonical();
            address.is_loopback() || self.listen.is_some_and(|own| own.is_unspecified() || own == address)
        };
        self.names.contains(&host) || host.parse().is_ok_and(is_ours)
    }
}

/// Lower case, without brackets and the dot of the root.
fn normal(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;
    use crate::service::operation::KEYS_LIST;

    fn allowed(listen: &str, host: &str) -> bool {
        let more = ["KMS.internal".to_owned(), "2001:db8::7".to_owned()];
        let hosts = AllowedHosts::new(listen.parse().unwrap(), Some("https://kms.example:8443/x"), &more);
        hosts.allows(host)
    }

    #[test]
    fn loopback_the_listening_address_the_public_name_and_listed_names_are_allowed() {
        for host in [
            "localhost",
            "LOCALHOST:8254",
            "localhost.",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]:8254",
            "[::ffff:127.0.0.1]",
            "kms.example",
            "kms.example:1",
            "Kms.Internal",
            "10.0.0.5:8254",
            "[2001:db8::7]:8254",
        ] {
            assert!(allowed("10.0.0.5", host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "kms.example.evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.6",
            "localhost@evil.example",
            "evil.example:localhost",
            "xn--lcalhost-d1a",
            "kms.example..",
            "a b",
            "2130706433",
            "0x7f.1",
        ] {
            assert!(!allowed("10.0.0.5", host), "{host}");
        }
        assert!(allowed("0.0.0.0", "10.0.0.6") && allowed("::", "[2001:db8::1]"));
        assert!(!allowed("0.0.0.0", "evil.example"));
    }

    #[test]
    fn every_name_of_a_request_counts_and_health_answers_under_any() {
        let hosts = AllowedHosts::new("127.0.0.1".parse().unwrap(), None, &[]);
        let check = |operation, target: &str, names: &[&str]| {
            let mut headers = HeaderMap::new();
            for name in names {
                headers.append(header::HOST, name.parse().unwrap());
            }
            hosts.check(operation, &target.parse().unwrap(), &headers).is_ok()
        };
        let keys = Some(&KEYS_LIST);
        assert!(check(keys, "/v1/keys", &["localhost"]) && check(keys, "/v1/keys", &[]));
        assert!(check(keys, "http://localhost/v1/keys", &["localhost"]));
        for (target, names) in [
            ("/v1/keys", &["evil.example"][..]),
            ("/v1/keys", &["localhost", "evil.example"]),
            ("http://evil.example/v1/keys", &["localhost"]),
            ("http://localhost/v1/keys", &["evil.example"]),
        ] {
            assert!(!check(keys, target, names) && !check(None, target, names), "{target} {names:?}");
            assert!(check(Some(&HEALTH), target, names) && check(Some(&METRICS), target, names));
        }
    }
}
