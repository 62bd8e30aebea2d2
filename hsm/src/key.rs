//! Names and public descriptions of keys. Not for anything secret: no type here can hold a scalar.

use std::fmt;
use std::str::FromStr;

use bn254_ct::{G1Point, G2Point};

/// Random name of one key, 16 bytes; written as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// A fresh name from the kernel's generator.
    ///
    /// # Errors
    /// Where the kernel's generator does not answer.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The name with exactly these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The text is not 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id is 32 lower-case hex digits")]
pub struct KeyIdError;

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let mut bytes = [0; 16];
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(KeyIdError);
        }
        hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyIdError)?;
        Ok(Self(bytes))
    }
}

/// Both public keys of one scalar: `g1 = k·G1`, `g2 = k·G2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// In G1, as EigenLayer's registries compare it.
    pub g1: G1Point,
    /// In G2, as signatures are verified against it.
    pub g2: G2Point,
}

/// What a new key is to be called and whose it is; both become part of the record's authenticated header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Chosen by the caller, so that a creation with an unknown outcome can be repeated or destroyed by name.
    pub id: KeyId,
    /// Address of the externally owned account, 20 bytes.
    pub owner: [u8; 20],
}

/// One key of the token as its authenticated record describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name.
    pub id: KeyId,
    /// Address of the owner, 20 bytes.
    pub owner: [u8; 20],
    /// Both public keys.
    pub public_key: PublicKey,
    /// Time of creation, unix seconds, from this host's clock.
    pub created: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is a failed test
    use super::*;

    #[test]
    fn a_key_id_survives_its_text_form_and_nothing_else_parses() {
        let id = KeyId::random().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "00", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32), &"A".repeat(32)] {
            assert_eq!(bad.parse::<KeyId>(), Err(KeyIdError), "{bad}");
        }
    }
}
