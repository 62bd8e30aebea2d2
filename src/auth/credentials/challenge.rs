//! The login challenge: what an operator signs to get a token.
//!
//! The service keeps no list of challenges, which unauthenticated clients could fill: the id of a challenge is the challenge
//! itself, sealed with a key that only this service has, and only challenges that were *used* are remembered
//! (`store`). Not for: signatures (`signature`), or who may have which token (`operation`).

use std::fmt;
use std::time::Duration;

use alloy_sol_types::SolStruct;
use hmac::digest::Key;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::audience::Audience;
use super::eip4361::SignIn;
use super::signature::personal_digest;
use super::typed_data::{domain, hex0x, typed_data};
use crate::auth::scope::{Scope, Scopes};
use crate::key::Eoa;

/// How long a challenge can be answered.
pub const CHALLENGE_LIFE: Duration = Duration::from_secs(300);

mod solidity {
    alloy_sol_types::sol! {
        struct Login {
            string domain;
            string installation;
            address account;
            string statement;
            string uri;
            uint256 chainId;
            bytes32 nonce;
            string issuedAt;
            string expirationTime;
            string[] scopes;
        }
    }
}

/// The same, for wallets.
const LOGIN: &[(&str, &str)] = &[
    ("domain", "string"),
    ("installation", "string"),
    ("account", "address"),
    ("statement", "string"),
    ("uri", "string"),
    ("chainId", "uint256"),
    ("nonce", "bytes32"),
    ("issuedAt", "string"),
    ("expirationTime", "string"),
    ("scopes", "string[]"),
];

/// A requested login, to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Who says to log in.
    pub eoa: Eoa,
    /// What the token shall allow.
    pub scopes: Scopes,
    /// How long it shall work, seconds.
    pub life: u32,
    /// When the challenge was made; whole seconds.
    pub issued_at: Timestamp,
    /// 256 random bits: no challenge can be signed before it was made.
    pub nonce: [u8; 32],
}

impl Challenge {
    /// A fresh challenge.
    ///
    /// # Errors
    /// When the kernel gives no randomness.
    pub fn random(eoa: Eoa, scopes: Scopes, life: u32, now: Timestamp) -> Result<Self, getrandom::Error> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce)?;
        let issued_at = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Ok(Self { eoa, scopes, life, issued_at, nonce })
    }

    /// From when on it cannot be answered any more.
    pub fn expires_at(&self) -> Timestamp {
        self.issued_at.saturating_add(CHALLENGE_LIFE).unwrap_or(Timestamp::MAX)
    }

    /// The EIP-4361 text, for `personal_sign`.
    pub fn message(&self, audience: &Audience) -> String {
        self.sign_in(audience).to_string()
    }

    /// The EIP-712 object, for `eth_signTypedData_v4`.
    pub fn typed_data(&self, audience: &Audience) -> Value {
        let message = self.login(audience);
        let fields = json!({
            "domain": message.domain,
            "installation": message.installation,
            "account": self.eoa.to_string(),
            "statement": message.statement,
            "uri": message.uri,
            "chainId": audience.chain_id(),
            "nonce": hex0x(&self.nonce),
            "issuedAt": message.issuedAt,
            "expirationTime": message.expirationTime,
            "scopes": message.scopes,
        });
        typed_data("Login", LOGIN, &fields)
    }

    /// What is signed: EIP-191 over the text, EIP-712 over the object.
    pub fn digests(&self, audience: &Audience) -> [(&'static str, [u8; 32]); 2] {
        [
            ("eip191", personal_digest(&self.message(audience))),
            ("eip712", self.login(audience).eip712_signing_hash(&domain()).0),
        ]
    }

    fn sign_in(&self, audience: &Audience) -> SignIn {
        SignIn {
            domain: audience.domain().to_owned(),
            account: self.eoa,
            statement: self.statement(audience),
            uri: audience.uri().to_owned(),
            chain_id: audience.chain_id(),
            nonce: hex0x(&self.nonce),
            issued_at: self.issued_at,
            expiration_time: self.expires_at(),
            resources: self.scopes.iter().map(|scope| format!("{SCOPE_URN}{scope}")).collect(),
        }
    }

    fn login(&self, audience: &Audience) -> solidity::Login {
        solidity::Login {
            domain: audience.domain().to_owned(),
            installation: audience.installation().to_string(),
            account: (*self.eoa.as_bytes()).into(),
            statement: self.statement(audience),
            uri: audience.uri().to_owned(),
            chainId: alloy_primitives::U256::from(audience.chain_id()),
            nonce: self.nonce.into(),
            issuedAt: self.issued_at.to_string(),
            expirationTime: self.expires_at().to_string(),
            scopes: self.scopes.iter().map(|scope| Scope::as_str(scope).to_owned()).collect(),
        }
    }

    fn statement(&self, audience: &Audience) -> String {
        let (installation, life) = (audience.installation(), self.life);
        format!(
            "Log in to the key service avs-kms, installation {installation}: a token with these scopes, for {life} seconds."
        )
    }
}

/// Prefix of a scope among the resources of the message.
pub const SCOPE_URN: &str = "urn:avs-kms:scope:";

/// Seals challenges. Its holder can make challenges, and still needs the operator's signature on each.
pub struct ChallengeKey(Zeroizing<[u8; 32]>);

const PREFIX: &str = "ch_";
const FORMAT: u8 = 1;
const TAG_BYTES: usize = 32;

impl ChallengeKey {
    /// The key with these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The id of a challenge: all of it, and a tag that binds it to the service that it was made for.
    pub fn seal(&self, challenge: &Challenge, audience: &Audience) -> String {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(challenge.eoa.as_bytes());
        bytes.push(challenge.scopes.bits());
        bytes.extend_from_slice(&challenge.life.to_be_bytes());
        bytes.extend_from_slice(&challenge.issued_at.as_second().to_be_bytes());
        bytes.extend_from_slice(&challenge.nonce);
        let tag = self.mac(&bytes, audience).finalize().into_bytes();
        bytes.extend_from_slice(&tag);
        format!("{PREFIX}{}", hex::encode(bytes))
    }

    /// The challenge of this id, if this service made it, for this audience. Whether it is still good is another matter.
    pub fn open(&self, id: &str, audience: &Audience) -> Option<Challenge> {
        let bytes = hex::decode(id.strip_prefix(PREFIX)?).ok()?;
        let (sealed, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        self.mac(sealed, audience).verify_slice(tag).ok()?;
        let rest = sealed.strip_prefix(&[FORMAT])?;
        let (eoa, rest) = rest.split_first_chunk::<20>()?;
        let (scopes, rest) = rest.split_first()?;
        let (life, rest) = rest.split_first_chunk::<4>()?;
        let (issued_at, nonce) = rest.split_first_chunk::<8>()?;
        Some(Challenge {
            eoa: Eoa::new(*eoa),
            scopes: Scopes::from_bits(*scopes),
            life: u32::from_be_bytes(*life),
            issued_at: Timestamp::from_second(i64::from_be_bytes(*issued_at)).ok()?,
            nonce: nonce.try_into().ok()?,
        })
    }

    fn mac(&self, sealed: &[u8], audience: &Audience) -> Hmac<Sha256> {
        // RFC 2104: a short key is filled up with zeros.
        let mut key = Key::<Hmac<Sha256>>::default();
        key.iter_mut().zip(self.0.iter()).for_each(|(place, byte)| *place = *byte);
        let mut mac = <Hmac<Sha256> as Mac>::new(&key);
        let (chain_id, installation) = (audience.chain_id().to_be_bytes(), audience.installation());
        for part in [audience.uri().as_bytes(), &chain_id, installation.as_bytes(), sealed] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for ChallengeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChallengeKey(..)")
    }
}

#[cfg(test)]
mod tests;
