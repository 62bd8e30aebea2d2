//! Requests that carry a signature of their own: `Authorization: EIP712 operator=…,issued=…,expires=…,nonce=…,sig=…`.
//!
//! The signature covers everything that makes the request what it is: service, method, path with query, body, times
//! and nonce. Not for: remembering nonces (`operation`), or reading bodies (`http`).

use alloy_primitives::keccak256;
use alloy_sol_types::SolStruct;
use serde_json::{Value, json};
use thiserror::Error;

use super::audience::Audience;
use super::signature::{EoaSignature, SignatureError};
use super::typed_data::{domain, hex0x, typed_data};
use crate::key::Eoa;

/// The longest life of a signature, seconds.
pub const LONGEST_LIFE: u64 = 300;

/// How far the clocks of signer and service may differ, seconds.
pub const CLOCK_SKEW: u64 = 60;

/// The longest path that can be signed, bytes: all of it must fit into the audit record.
pub const MAX_PATH_BYTES: usize = 512;

mod solidity {
    alloy_sol_types::sol! {
        struct SignedRequest {
            string audience;
            string installation;
            string method;
            string path;
            bytes32 bodyHash;
            uint64 issuedAt;
            uint64 expiresAt;
            bytes32 nonce;
        }
    }
}

/// The same, for wallets.
const SIGNED_REQUEST: &[(&str, &str)] = &[
    ("audience", "string"),
    ("installation", "string"),
    ("method", "string"),
    ("path", "string"),
    ("bodyHash", "bytes32"),
    ("issuedAt", "uint64"),
    ("expiresAt", "uint64"),
    ("nonce", "bytes32"),
];

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct RequestToSign<'a> {
    /// The service.
    pub audience: &'a Audience,
    /// `GET` or `POST`.
    pub method: &'a str,
    /// As in the request line, with its query.
    pub path: &'a str,
    /// keccak256 of the body, byte for byte; of nothing where there is none.
    pub body_hash: [u8; 32],
    /// Unix seconds.
    pub issued: u64,
    /// Unix seconds.
    pub expires: u64,
    /// Random, once.
    pub nonce: [u8; 32],
}

/// keccak256, as it names a body.
pub fn body_hash(body: &[u8]) -> [u8; 32] {
    keccak256(body).0
}

impl RequestToSign<'_> {
    /// The EIP-712 digest.
    pub fn digest(&self) -> [u8; 32] {
        let message = solidity::SignedRequest {
            audience: self.audience.uri().to_owned(),
            installation: self.audience.installation().to_string(),
            method: self.method.to_owned(),
            path: self.path.to_owned(),
            bodyHash: self.body_hash.into(),
            issuedAt: self.issued,
            expiresAt: self.expires,
            nonce: self.nonce.into(),
        };
        message.eip712_signing_hash(&domain()).0
    }

    /// The EIP-712 object, for `eth_signTypedData_v4`.
    pub fn typed_data(&self) -> Value {
        let message = json!({
            "audience": self.audience.uri(),
            "installation": self.audience.installation().to_string(),
            "method": self.method,
            "path": self.path,
            "bodyHash": hex0x(&self.body_hash),
            "issuedAt": self.issued,
            "expiresAt": self.expires,
            "nonce": hex0x(&self.nonce),
        });
        typed_data("SignedRequest", SIGNED_REQUEST, &message)
    }

    /// The value of the header up to the signature.
    pub fn credentials(&self, operator: &Eoa) -> String {
        let Self { issued, expires, nonce, .. } = self;
        format!("EIP712 operator={operator},issued={issued},expires={expires},nonce={},sig=", hex0x(nonce))
    }
}

/// The header, read.
#[derive(Clone, Copy, Debug)]
pub struct Credentials {
    /// Who says to have signed.
    pub operator: Eoa,
    /// Unix seconds.
    pub issued: u64,
    /// Unix seconds.
    pub expires: u64,
    /// 32 bytes.
    pub nonce: [u8; 32],
    /// The signature and its bytes.
    pub signature: EoaSignature,
    /// As they came.
    pub signature_bytes: [u8; 65],
}

/// Why the header is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CredentialsError {
    /// A member is missing, repeated or malformed.
    #[error(
        "the header must be: EIP712 operator=0x…,issued=<unix seconds>,expires=<unix seconds>,nonce=0x<64 hex digits>,sig=0x<130 hex digits>"
    )]
    Form,
    /// The signature has another form than the one.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl Credentials {
    /// Reads what follows the scheme.
    ///
    /// # Errors
    /// Everything but the five members, each once, in any order.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        let form = CredentialsError::Form;
        let names = ["operator", "issued", "expires", "nonce", "sig"];
        let mut values = [None; 5];
        for member in text.split(',') {
            let (name, value) = member.trim_matches(' ').split_once('=').ok_or(form)?;
            let at = names.iter().position(|known| *known == name).ok_or(form)?;
            let place = values.get_mut(at).ok_or(form)?;
            if place.replace(value).is_some() {
                return Err(form);
            }
        }
        let [Some(operator), Some(issued), Some(expires), Some(nonce), Some(signature)] = values else {
            return Err(form);
        };
        let signature = hex::decode(signature.strip_prefix("0x").ok_or(form)?).map_err(|_| form)?;
        let signature_bytes = signature.as_slice().try_into().map_err(|_| SignatureError::Length)?;
        Ok(Self {
            operator: Some(operator)
                .filter(|it| it.starts_with("0x"))
                .and_then(|it| it.parse().ok())
                .ok_or(form)?,
            issued: seconds(issued).ok_or(form)?,
            expires: seconds(expires).ok_or(form)?,
            nonce: nonce_of(nonce).ok_or(form)?,
            signature: EoaSignature::from_bytes(&signature)?,
            signature_bytes,
        })
    }

    /// Whether the times are right: issued now, give or take the skew of clocks, for five minutes at most.
    pub const fn in_time(&self, now: u64) -> bool {
        let Self { issued, expires, .. } = *self;
        issued <= now.saturating_add(CLOCK_SKEW)
            && now < expires
            && issued < expires
            && expires - issued <= LONGEST_LIFE
    }
}

/// A decimal number as one writes it.
fn seconds(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn nonce_of(text: &str) -> Option<[u8; 32]> {
    let mut nonce = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut nonce).ok()?;
    Some(nonce)
}

/// Feeds arbitrary bytes to the parser of the header.
///
/// # Panics
/// When a header that was taken, written again, is not taken or says something else.
pub fn fuzz_credentials(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = Credentials::parse(text) else { return };
    let Credentials { operator, issued, expires, nonce, signature_bytes, .. } = read;
    let (nonce, signature) = (hex0x(&nonce), hex0x(&signature_bytes));
    let again =
        format!("operator={operator},issued={issued},expires={expires},nonce={nonce},sig={signature}");
    let same = Credentials::parse(&again).is_ok_and(|it| {
        (it.operator, it.issued, it.expires, it.nonce, it.signature_bytes)
            == (operator, issued, expires, read.nonce, signature_bytes)
    });
    assert!(same, "a header that says two things");
}

#[cfg(test)]
mod tests;
