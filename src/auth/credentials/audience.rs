//! Which service a signature is meant for: its public URL, the chain of its operators, and its installation.
//!
//! Whatever an operator signs names it, so that what was signed for one service is worthless at another.

use std::fmt;

use thiserror::Error;

use crate::auth::installation::InstallationId;

/// A service, as the messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    uri: String,
    domain: String,
    chain_id: u64,
    installation: InstallationId,
}

/// The text does not name a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the URL of a service is http://host, https://host:port or https://host/path, in lower case and without user, query and fragment"
)]
pub struct ParseAudienceError;

impl Audience {
    /// The service at a URL, for operators on this chain (EIP-155). Two services may share a URL, never an installation.
    ///
    /// # Errors
    /// When the URL is more or less than scheme, host, port and path.
    pub fn new(url: &str, chain_id: u64, installation: InstallationId) -> Result<Self, ParseAudienceError> {
        let (scheme, rest) = url.split_once("://").ok_or(ParseAudienceError)?;
        let rest = rest.trim_end_matches('/');
        let domain = rest.split('/').next().unwrap_or_default();
        let of_a_host = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]".contains(&b);
        let of_a_path = |b: u8| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b);
        let path = rest.strip_prefix(domain).unwrap_or_default();
        let good = matches!(scheme, "http" | "https")
            && !domain.is_empty()
            && url.len() <= 256
            && domain.bytes().all(of_a_host)
            && path.bytes().all(of_a_path);
        if !good {
            return Err(ParseAudienceError);
        }
        Ok(Self { uri: format!("{scheme}://{rest}"), domain: domain.to_owned(), chain_id, installation })
    }

    /// Host and port, EIP-4361's `domain`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The whole URL, without a slash at its end.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// EIP-155.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The installation.
    pub const fn installation(&self) -> InstallationId {
        self.installation
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on chain {}, installation {}", self.uri, self.chain_id, self.installation)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    const INSTALLATION: InstallationId = InstallationId::new([5; 16]);

    #[test]
    fn a_url_gives_domain_and_uri() {
        for (url, uri, domain) in [
            ("http://127.0.0.1:8254/", "http://127.0.0.1:8254", "127.0.0.1:8254"),
            ("https://kms.example", "https://kms.example", "kms.example"),
            ("https://kms.example:8443/a/b/", "https://kms.example:8443/a/b", "kms.example:8443"),
            ("http://[::1]:8254", "http://[::1]:8254", "[::1]:8254"),
        ] {
            let audience = Audience::new(url, 1, INSTALLATION).unwrap();
            assert_eq!((audience.uri(), audience.domain()), (uri, domain));
        }
    }

    #[test]
    fn what_two_readers_could_take_for_two_services_is_refused() {
        for url in [
            "",
            "kms.example",
            "ftp://kms.example",
            "https://",
            "https:///path",
            "https://user@kms.example",
            "https://kms.example?x",
            "https://kms.example#x",
            "https://kms.example\n",
            "https://KMS.example",
            "https://kms.еxample",
            "https://kms example",
            "https://a/b?c",
            "https://a\u{202e}b",
        ] {
            assert_eq!(Audience::new(url, 1, INSTALLATION), Err(ParseAudienceError), "{url}");
        }
    }
}
