//! The public key of a log, as one line of text: `<origin>+<key id>+<base64 of type and key>`
//! (c2sp.org/signed-note).
//!
//! Ed25519 (type 1) is the rule; ECDSA P-256 (type 2) is for tokens that have no EdDSA; RSA-PSS (type 255, which is
//! followed by a name, for the specification assigns it no number) is for tokens without elliptic curves.

pub(crate) mod rsa_pss;

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Verifier as _;
use sha2::{Digest, Sha256};
use thiserror::Error;

const ED25519: u8 = 1;
const ECDSA: u8 = 2;
/// A type without a number, and the name that follows it.
const RSA_PSS: &[u8] = b"\xffPKIX-RSA-PSS-SHA256";
/// SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point (RFC 5480).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A public key that checks checkpoints.
#[expect(clippy::large_enum_variant, reason = "few exist, and all are Copy")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RFC 8032, 32 bytes.
    Ed25519([u8; 32]),
    /// An uncompressed SEC 1 point: 4, x, y.
    P256([u8; 65]),
    /// The modulus of RSA with 3072 bits, big-endian; the exponent is 65537.
    Rsa3072([u8; rsa_pss::LEN]),
}

/// A public key and the name of the log that it speaks for.
#[derive(Clone)]
pub struct VerifierKey {
    name: String,
    id: u32,
    public: PublicKey,
    checker: Checker,
}

#[derive(Clone)]
enum Checker {
    Ed25519(Box<signed_note::StandardVerifier>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    Rsa3072(Box<[u8; rsa_pss::LEN]>),
}

/// The text is no public key of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a public key of a log is one line: name, +, eight hex digits, +, base64")]
pub struct KeyError;

impl VerifierKey {
    /// The key of the log of that name.
    ///
    /// # Errors
    /// When the name has spaces or plus signs or is empty, or the key is no valid point or modulus.
    pub fn new(name: &str, public: PublicKey) -> Result<Self, KeyError> {
        let mut typed = public.typed();
        let checker = match public {
            PublicKey::Ed25519(_) => {
                let id = signed_note::key_id(name, &typed);
                let line = format!("{name}+{id:08x}+{}", STANDARD.encode(&typed));
                Checker::Ed25519(Box::new(signed_note::StandardVerifier::new(&line).map_err(|_| KeyError)?))
            }
            PublicKey::P256(point) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(|_| KeyError)?;
                Checker::P256(Box::new(key))
            }
            PublicKey::Rsa3072(modulus) => {
                let modulus = rsa_pss::is_modulus(&modulus).then(|| Box::new(modulus)).ok_or(KeyError)?;
                Checker::Rsa3072(modulus)
            }
        };
        if !signed_note::is_key_name_valid(name) {
            return Err(KeyError);
        }
        let id = match public {
            PublicKey::Ed25519(_) | PublicKey::Rsa3072(_) => signed_note::key_id(name, &typed),
            PublicKey::P256(_) => {
                let digest = Sha256::digest(typed.split_off(1));
                digest.first_chunk().copied().map(u32::from_be_bytes).unwrap_or_default()
            }
        };
        Ok(Self { name: name.to_owned(), id, public, checker })
    }

    /// The log's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }

    /// What a token gives as a signature, as a line of a note.
    pub(super) fn line(&self, signature: &[u8]) -> Option<signed_note::Signature> {
        let bytes = match self.checker {
            Checker::Ed25519(_) => signature.to_vec(),
            Checker::P256(_) => {
                p256::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec()
            }
            Checker::Rsa3072(_) => signature.to_vec(),
        };
        signed_note::Signature::new(self.name.clone(), self.id, bytes).ok()
    }
}

/// The same key for the same log.
impl PartialEq for VerifierKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.public == other.public
    }
}

impl PublicKey {
    /// The type byte and the key as it is encoded for its type.
    fn typed(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => [&[ED25519], key.as_slice()].concat(),
            Self::P256(point) => [&[ECDSA], P256_PREFIX.as_slice(), point.as_slice()].concat(),
            Self::Rsa3072(modulus) => [RSA_PSS, &rsa_pss::spki(modulus)].concat(),
        }
    }
}

impl signed_note::Verifier for VerifierKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.checker {
            Checker::Ed25519(key) => key.verify(message, signature),
            Checker::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Checker::Rsa3072(modulus) => rsa_pss::verify(modulus, message, signature),
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(self.public.typed()))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.trim_end().split_once('+').ok_or(KeyError)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError)?;
        let bytes = STANDARD.decode(key).map_err(|_| KeyError)?;
        let public = match bytes.split_first() {
            _ if bytes.starts_with(RSA_PSS) => {
                let spki = bytes.get(RSA_PSS.len()..).unwrap_or_default();
                PublicKey::Rsa3072(rsa_pss::modulus_in(spki).ok_or(KeyError)?)
            }
            Some((&ED25519, key)) => PublicKey::Ed25519(key.try_into().map_err(|_| KeyError)?),
            Some((&ECDSA, key)) => {
                let point = key.strip_prefix(P256_PREFIX.as_slice()).ok_or(KeyError)?;
                PublicKey::P256(point.try_into().map_err(|_| KeyError)?)
            }
            _ => return Err(KeyError),
        };
        let this = Self::new(name, public)?;
        (id.len() == 8 && u32::from_str_radix(id, 16) == Ok(this.id)).then_some(this).ok_or(KeyError)
    }
}
