//! Names and public descriptions of keys. Not for anything secret: no type here can hold a scalar.

mod init_ids;

use std::fmt;
use std::str::FromStr;

use bn254_ct::{G1Point, G2Point};

pub(crate) use init_ids::InitIds;

/// Random id of one key, 16 bytes; written as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// A fresh id from the kernel's generator.
    ///
    /// # Errors
    /// Where the kernel's generator does not answer.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The id with exactly these bytes.
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

/// Name of a key among the keys of its owner, as the record in the token carries it: 1 to 64 of `a-z0-9._-`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredName {
    bytes: [u8; Self::MAX],
    length: u8,
}

impl StoredName {
    /// Longest name, bytes.
    pub const MAX: usize = 64;
    /// The name in the canary record, which belongs to no key.
    pub(crate) const CANARY: Self = Self::known(b"canary");
    /// The name in the record of the store key, which belongs to no operator.
    pub(crate) const STORE_KEY: Self = Self::known(b"store-key");

    /// The name in the record of a checkpoint key in software.
    pub(crate) const CHECKPOINT_KEY: Self = Self::known(b"checkpoint-key");

    const fn known(name: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX];
        bytes.split_at_mut(name.len()).0.copy_from_slice(name);
        Self { bytes, length: name.len() as u8 }
    }

    /// The name with this text.
    ///
    /// # Errors
    /// Where the text is not 1 to 64 of `a-z0-9._-`.
    pub fn new(text: &str) -> Result<Self, StoredNameError> {
        Self::from_bytes(text.as_bytes()).ok_or(StoredNameError)
    }

    pub(crate) fn from_bytes(text: &[u8]) -> Option<Self> {
        let allowed = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(b);
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let fits = !text.is_empty() && text.iter().all(allowed);
        fits.then_some(Self { bytes, length: text.len() as u8 })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Always ASCII, as `from_bytes` has checked.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for StoredName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for StoredName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredName({self})")
    }
}

/// The text is not a key name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key name is 1 to 64 characters of a-z, 0-9, dot, underscore and hyphen")]
pub struct StoredNameError;

/// Both public keys of one scalar: `g1 = k·G1`, `g2 = k·G2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// In G1, as EigenLayer's registries compare it.
    pub g1: G1Point,
    /// In G2, as signatures are verified against it.
    pub g2: G2Point,
}

/// A key to be made: everything here becomes part of its record's authenticated header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Chosen by the caller, so that a creation with an unknown outcome can be repeated or destroyed by id.
    pub id: KeyId,
    /// Address of the externally owned account, 20 bytes.
    pub owner: [u8; 20],
    /// Name of the key among those of its owner.
    pub name: StoredName,
    /// Number of this version of the key, from 1.
    pub version: u32,
}

/// One key of the token as its authenticated record describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its id.
    pub id: KeyId,
    /// Address of the owner, 20 bytes.
    pub owner: [u8; 20],
    /// Name of the key among those of its owner.
    pub name: StoredName,
    /// Number of this version of the key, from 1.
    pub version: u32,
    /// Both public keys.
    pub public_key: PublicKey,
    /// Time of creation, unix seconds, from this host's clock.
    pub created: u64,
}

impl KeyEntry {
    /// Whether it is the key that `new` asks for.
    pub(crate) fn is(&self, new: &NewKey) -> bool {
        let found = NewKey { id: self.id, owner: self.owner, name: self.name, version: self.version };
        found == *new
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is a failed test
    use super::*;

    #[test]
    fn a_stored_name_is_1_to_64_lower_case_characters() {
        for name in ["default", "a", "avs-1._x", &"n".repeat(64)] {
            assert_eq!(StoredName::new(name).map(|name| name.to_string()).ok().as_deref(), Some(name));
        }
        for name in ["", "Main", "a b", "\u{e9}", "a/b", &"n".repeat(65)] {
            assert_eq!(StoredName::new(name), Err(StoredNameError), "{name:?}");
        }
        assert_eq!(StoredName::CANARY.as_str(), "canary");
    }

    #[test]
    fn a_key_id_survives_its_text_form_and_nothing_else_parses() {
        let id = KeyId::random().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "00", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32), &"A".repeat(32)] {
            assert_eq!(bad.parse::<KeyId>(), Err(KeyIdError), "{bad}");
        }
    }
}
