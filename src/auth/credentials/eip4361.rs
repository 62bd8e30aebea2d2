//! The text that a wallet shows at a login, EIP-4361 ("Sign-In with Ethereum"), version 1.
//!
//! Written by the service; read by the command line, which signs nothing that says something else than it looks
//! like: what is read must be, letter for letter, what this program would write. Not for: signatures.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use thiserror::Error;

use crate::key::Eoa;

/// The members of EIP-4361 that this service uses; all of them are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// RFC 3986 authority of the service.
    pub domain: String,
    /// Who logs in.
    pub account: Eoa,
    /// One line for a person.
    pub statement: String,
    /// RFC 3986 URI of the service.
    pub uri: String,
    /// EIP-155.
    pub chain_id: u64,
    /// Letters and digits, at least 8.
    pub nonce: String,
    /// From when on the message counts; whole seconds.
    pub issued_at: Timestamp,
    /// Until when; whole seconds.
    pub expiration_time: Timestamp,
    /// What is asked for, as URIs.
    pub resources: Vec<String>,
}

/// The text is no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this is not an EIP-4361 message of an avs-kms service")]
pub struct ParseSignInError;

const WANTS: &str = " wants you to sign in with your Ethereum account:";

impl fmt::Display for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}{WANTS}\n{}\n\n{}\n", self.domain, self.account, self.statement)?;
        write!(
            f,
            "URI: {}\nVersion: 1\nChain ID: {}\nNonce: {}\nIssued At: {}\nExpiration Time: {}\nResources:",
            self.uri, self.chain_id, self.nonce, self.issued_at, self.expiration_time
        )?;
        self.resources.iter().try_for_each(|resource| write!(f, "\n- {resource}"))
    }
}

impl FromStr for SignIn {
    type Err = ParseSignInError;

    fn from_str(text: &str) -> Result<Self, ParseSignInError> {
        let read = || {
            let mut lines = text.split('\n');
            let domain = lines.next()?.strip_suffix(WANTS)?.to_owned();
            let account = lines.next()?.parse().ok()?;
            lines.next()?;
            let statement = lines.next()?.to_owned();
            lines.next()?;
            let mut field = |name: &str| lines.next()?.strip_prefix(name);
            let uri = field("URI: ")?.to_owned();
            field("Version: ")?;
            let chain_id = field("Chain ID: ")?.parse().ok()?;
            let nonce = field("Nonce: ")?.to_owned();
            let issued_at = field("Issued At: ")?.parse().ok()?;
            let expiration_time = field("Expiration Time: ")?.parse().ok()?;
            field("Resources:")?;
            let resources = lines.map(|line| line.strip_prefix("- ").map(str::to_owned));
            let resources = resources.collect::<Option<Vec<_>>>()?;
            let sign_in = Self {
                domain,
                account,
                statement,
                uri,
                chain_id,
                nonce,
                issued_at,
                expiration_time,
                resources,
            };
            let printable = text.bytes().all(|b| b == b'\n' || b == b' ' || b.is_ascii_graphic());
            (printable && sign_in.to_string() == text).then_some(sign_in)
        };
        read().ok_or(ParseSignInError)
    }
}

/// Feeds arbitrary bytes to the parser of messages.
///
/// # Panics
/// When a message that was taken does not say what its text says.
pub fn fuzz_sign_in(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(sign_in) = text.parse::<SignIn>()
    {
        assert!(sign_in.to_string() == text, "two texts for one message");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "kms.example wants you to sign in with your Ethereum account:\n\
        0x70997970C51812dc3A010C7d01b50e0d17dc79C8\n\nGet a token.\n\nURI: https://kms.example\nVersion: 1\n\
        Chain ID: 17000\nNonce: 0x0123456789abcdef\nIssued At: 2026-11-25T21:00:00Z\n\
        Expiration Time: 2026-11-25T21:05:00Z\nResources:\n- urn:avs-kms:scope:keys:read";

    #[test]
    fn a_message_survives_its_text() {
        let sign_in: SignIn = TEXT.parse().unwrap();
        assert_eq!((sign_in.domain.as_str(), sign_in.chain_id), ("kms.example", 17_000));
        assert_eq!(sign_in.resources, ["urn:avs-kms:scope:keys:read"]);
        assert_eq!(sign_in.to_string(), TEXT);
    }

    #[test]
    fn a_text_that_reads_as_another_than_it_is_is_refused() {
        for (from, to) in [
            ("Version: 1", "Version: 2"),
            ("\nVersion", "\r\nVersion"),
            ("\n\nGet", "\nx\nGet"),
            ("17000", "017000"),
            ("17000", "+17000"),
            ("21:05:00Z", "21:05:00.0Z"),
            ("21:05:00Z", "22:05:00+01:00"),
            ("0x70997970C5", "0x70997970c5"),
            ("Get a token.", "Get a \u{202e}token."),
            ("- urn", "-urn"),
            ("keys:read", "keys:read\n\nURI: https://evil.example"),
            ("Resources:", "Request ID: 1\nResources:"),
        ] {
            let text = TEXT.replacen(from, to, 1);
            assert_ne!(text, TEXT);
            assert_eq!(text.parse::<SignIn>(), Err(ParseSignInError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn damaged_messages_are_refused_or_read_exactly(at in 0..TEXT.len(), byte in any::<u8>()) {
            let mut bytes = TEXT.as_bytes().to_vec();
            if let Some(place) = bytes.get_mut(at) { *place = byte; }
            fuzz_sign_in(&bytes);
        }
    }
}
