//! The wrapped record as bytes, format 2: strict parse, one encoding. Pure: not for tokens, keys or clocks.
//!
//! Big-endian: `magic 4 | format 1 | scheme 1 | variant 1 | KEK id 16 | key id 16 | owner 20 | version 4 |
//! name length 1 | name | curve 1 | kind 1 | flags 2 | created 8 | public length 2 | public | IV length 1 | IV |
//! sealed length 2 | sealed | SHA-256 of all before`.
//!
//! Everything before the IV's length is the header. With a prefix it is the AAD of the encryption, so a record copied
//! over another key's does not decrypt. The hash only tells torn objects apart; the tag is the authority.

pub(super) mod endorsement;

use bn254_ct::{G1Point, G2Point, PointError};
use sha2::{Digest, Sha256};

use super::scheme::Scheme;
use crate::key::{KeyId, PublicKey, StoredName};

/// Said before the header in the AAD, so that no other use of the same key can be taken for a record.
const CONTEXT: &[u8; 16] = b"avs-kms/record/2";
const MAGIC: &[u8; 4] = b"AVSK";
const FORMAT: u8 = 2;
/// What avs-kms 0.1 wrote.
const FORMAT_0_1: u8 = 1;
const CURVE_BN254: u8 = 1;
const PUBLIC_LEN: usize = 64 + 128;
const HASH_LEN: usize = 32;

/// What a record wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// The scalar of these public keys.
    Scalar(PublicKey),
    /// The known plaintext that tells a bad record from a token in trouble.
    Canary,
    /// The key that authenticates the rows of the store; the key id of the header is the installation id.
    StoreKey,
    /// The seed of the checkpoint key with this public key of Ed25519.
    CheckpointKey([u8; 32]),
}

/// The authenticated description of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) scheme: Scheme,
    /// `CKA_ID` of the key-encryption key.
    pub(crate) kek: [u8; 16],
    pub(crate) key: KeyId,
    /// Address of the operator that owns the key.
    pub(crate) owner: [u8; 20],
    /// Number of the version among those of the key; 0 for the canary, the store key and the checkpoint key.
    pub(crate) version: u32,
    pub(crate) name: StoredName,
    /// Unix seconds.
    pub(crate) created: u64,
    pub(crate) payload: Payload,
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("it ends early")]
    Short,
    #[error("bytes follow its end")]
    Long,
    #[error("it does not begin as a record")]
    Magic,
    #[error("avs-kms 0.1 made it, in format 1, which this version does not read: start with a new token")]
    Format0_1,
    #[error("its key name is invalid")]
    Name,
    #[error("{0} {1} is not known")]
    Unknown(&'static str, u8),
    #[error("{0} has an impossible length")]
    Length(&'static str),
    #[error("its hash does not match: it is torn")]
    Torn,
    #[error("its public key is invalid: {0}")]
    Point(#[from] PointError),
}

impl Header {
    /// Of a record that belongs to the installation itself, and to no operator.
    pub(crate) fn internal(
        (scheme, kek): (Scheme, [u8; 16]),
        (key, name): (KeyId, StoredName),
        payload: Payload,
        created: u64,
    ) -> Self {
        Self { scheme, kek, key, owner: [0; 20], version: 0, name, created, payload }
    }

    /// Context and header: what the encryption authenticates.
    pub(crate) fn aad(&self) -> Vec<u8> {
        let public = match self.payload {
            Payload::Scalar(key) => [&key.g1.to_bytes()[..], &key.g2.to_bytes()[..]].concat(),
            Payload::CheckpointKey(key) => key.to_vec(),
            Payload::Canary | Payload::StoreKey => Vec::new(),
        };
        let name = self.name.as_bytes();
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(CONTEXT);
        out.extend_from_slice(MAGIC);
        out.push(FORMAT);
        out.extend_from_slice(&self.scheme.numbers());
        out.extend_from_slice(&self.kek);
        out.extend_from_slice(&self.key.to_bytes());
        out.extend_from_slice(&self.owner);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.push(name.len() as u8);
        out.extend_from_slice(name);
        out.extend_from_slice(&[CURVE_BN254, self.payload.kind(), 0, 0]);
        out.extend_from_slice(&self.created.to_be_bytes());
        out.extend_from_slice(&(public.len() as u16).to_be_bytes());
        out.extend_from_slice(&public);
        out
    }
}

impl Payload {
    const fn kind(self) -> u8 {
        match self {
            Self::Scalar(_) => 1,
            Self::Canary => 2,
            Self::StoreKey => 3,
            Self::CheckpointKey(_) => 4,
        }
    }
}

/// A well-formed record; whether it is authentic, only decryption says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WrappedKey {
    pub(crate) header: Header,
    /// [`CONTEXT`] and the encoding, so that the AAD is a slice of it.
    bytes: Box<[u8]>,
    aad_length: usize,
}

impl WrappedKey {
    /// Puts a header and what was sealed under it together; none where a length is not the scheme's.
    pub(crate) fn new(header: Header, iv: &[u8], sealed: &[u8]) -> Option<Self> {
        let scheme = header.scheme;
        if iv.len() != scheme.iv_len() || sealed.len() != scheme.sealed_len() {
            return None;
        }
        let mut bytes = header.aad();
        let aad_length = bytes.len();
        bytes.push(iv.len() as u8);
        bytes.extend_from_slice(iv);
        bytes.extend_from_slice(&(sealed.len() as u16).to_be_bytes());
        bytes.extend_from_slice(sealed);
        let hash = Sha256::digest(bytes.get(CONTEXT.len()..).unwrap_or_default());
        bytes.extend_from_slice(&hash);
        Some(Self { header, bytes: bytes.into(), aad_length })
    }

    /// Reads the one encoding of a record and refuses everything else.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let body = bytes.len().checked_sub(HASH_LEN).ok_or(RecordError::Short)?;
        let (body, hash) = bytes.split_at(body);
        let mut reader = Reader(body);
        if &reader.array::<4>()? != MAGIC {
            return Err(RecordError::Magic);
        }
        if Sha256::digest(body)[..] != *hash {
            return Err(RecordError::Torn);
        }
        match reader.byte()? {
            FORMAT => {}
            FORMAT_0_1 => return Err(RecordError::Format0_1),
            other => return Err(RecordError::Unknown("format", other)),
        }
        let numbers: [u8; 2] = reader.array()?;
        let scheme = Scheme::from_numbers(numbers).ok_or_else(|| unknown_scheme(numbers))?;
        let (kek, key, owner) = (reader.array()?, KeyId::from_bytes(reader.array()?), reader.array()?);
        let version = u32::from_be_bytes(reader.array()?);
        let length = usize::from(reader.byte()?);
        let name = StoredName::from_bytes(reader.slice(length)?).ok_or(RecordError::Name)?;
        reader.expect("curve", CURVE_BN254)?;
        let kind = reader.byte()?;
        reader.expect("flag", 0)?;
        reader.expect("flag", 0)?;
        let created = u64::from_be_bytes(reader.array()?);
        let public = usize::from(u16::from_be_bytes(reader.array()?));
        let payload = match (kind, public) {
            (1, PUBLIC_LEN) => Payload::Scalar(PublicKey {
                g1: G1Point::from_bytes(&reader.array()?)?,
                g2: G2Point::from_bytes(&reader.array()?)?,
            }),
            (2, 0) => Payload::Canary,
            (3, 0) => Payload::StoreKey,
            (4, 32) => Payload::CheckpointKey(reader.array()?),
            (1..=4, _) => return Err(RecordError::Length("public key")),
            (other, _) => return Err(RecordError::Unknown("kind", other)),
        };
        if usize::from(reader.byte()?) != scheme.iv_len() {
            return Err(RecordError::Length("IV"));
        }
        let iv = reader.slice(scheme.iv_len())?;
        if usize::from(u16::from_be_bytes(reader.array()?)) != scheme.sealed_len() {
            return Err(RecordError::Length("sealed part"));
        }
        let sealed = reader.slice(scheme.sealed_len())?;
        if !reader.0.is_empty() {
            return Err(RecordError::Long);
        }
        let header = Header { scheme, kek, key, owner, version, name, created, payload };
        Self::new(header, iv, sealed).ok_or(RecordError::Short)
    }

    /// The bytes to be stored.
    pub(crate) fn encoded(&self) -> &[u8] {
        self.bytes.get(CONTEXT.len()..).unwrap_or_default()
    }

    pub(crate) fn aad(&self) -> &[u8] {
        self.bytes.get(..self.aad_length).unwrap_or_default()
    }

    /// The initialisation vector, or what the scheme has in its place.
    pub(crate) fn iv(&self) -> &[u8] {
        self.part(1, self.header.scheme.iv_len())
    }

    pub(crate) fn sealed(&self) -> &[u8] {
        let scheme = self.header.scheme;
        self.part(1 + scheme.iv_len() + 2, scheme.sealed_len())
    }

    /// Bytes after the header.
    fn part(&self, offset: usize, length: usize) -> &[u8] {
        let begin = self.aad_length + offset;
        self.bytes.get(begin..begin + length).unwrap_or_default()
    }
}

/// The `CKA_ID` of the key-encryption key that a value names; none where it is no record of this format.
pub(crate) fn kek_named_in(value: &[u8]) -> Option<[u8; 16]> {
    let mut reader = Reader(value);
    let begins = reader.array::<4>().is_ok_and(|magic| &magic == MAGIC) && reader.byte() == Ok(FORMAT);
    reader.array::<2>().ok().filter(|_| begins)?;
    reader.array().ok()
}

fn unknown_scheme([scheme, variant]: [u8; 2]) -> RecordError {
    match Scheme::ALL.iter().any(|known| known.numbers()[0] == scheme) {
        true => RecordError::Unknown("variant", variant),
        false => RecordError::Unknown("scheme", scheme),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(RecordError::Short)?;
        self.0 = tail;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, RecordError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(RecordError::Short)?;
        self.0 = tail;
        Ok(head)
    }

    fn expect(&mut self, what: &'static str, wanted: u8) -> Result<(), RecordError> {
        match self.byte()? {
            byte if byte == wanted => Ok(()),
            byte => Err(RecordError::Unknown(what, byte)),
        }
    }
}

#[cfg(test)]
mod tests;
