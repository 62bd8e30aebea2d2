//! Client certificates as a second factor: the name under which one is known.
//!
//! Not for: verifying them; the TLS listener does that before this module sees one.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// SHA-256 of a certificate's DER, as `openssl x509 -fingerprint -sha256` shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CertificateFingerprint([u8; 32]);

impl CertificateFingerprint {
    /// The fingerprint of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a certificate's fingerprint is its SHA-256: 64 hex digits, with or without colons")]
pub struct ParseFingerprintError;

impl FromStr for CertificateFingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, ParseFingerprintError> {
        let digits: String = if text.contains(':') {
            let pairs: Vec<_> = text.split(':').collect();
            if pairs.iter().any(|pair| pair.len() != 2) {
                return Err(ParseFingerprintError);
            }
            pairs.concat()
        } else {
            text.to_owned()
        };
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| ParseFingerprintError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_writes_it_and_as_we_write_it() {
        let fingerprint = CertificateFingerprint::of(b"der");
        let plain = fingerprint.to_string();
        let pairs: Vec<_> =
            plain.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
        assert_eq!(plain.parse(), Ok(fingerprint));
        assert_eq!(pairs.join(":").parse(), Ok(fingerprint));
        for wrong in ["", "00", &plain[1..], &format!("{plain}00"), &format!(":{plain}"), &"g".repeat(64)] {
            assert_eq!(wrong.parse::<CertificateFingerprint>(), Err(ParseFingerprintError), "{wrong}");
        }
    }
}
