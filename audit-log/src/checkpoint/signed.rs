//! Signed checkpoints: the head of the log, signed by a key that never leaves the token.
//!
//! Text: origin, size, root (c2sp.org/tlog-checkpoint); envelope: c2sp.org/signed-note. With one
//! checkpoint and the public key a reader can tell whether a log still contains that head. Not for:
//! when they are made (`publisher`).

use signed_note::{Note, VerifierList};
use thiserror::Error;
use tlog_tiles::Checkpoint;

use crate::checkpoint::key::{PublicKey, VerifierKey};
use crate::format::head::Head;
use crate::format::known_head::KnownHead;
use crate::format::log_id::LogId;
use crate::format::merkle::Hash;

const ORIGIN_PREFIX: &str = "avs-kms/";

impl LogId {
    /// The default name of the log in its checkpoints.
    pub fn origin(&self) -> String {
        format!("{ORIGIN_PREFIX}{self}")
    }

    /// The log of a default name.
    pub(crate) fn of_origin(origin: &str) -> Option<Self> {
        origin.strip_prefix(ORIGIN_PREFIX)?.parse().ok()
    }
}

/// Signs checkpoints with a key that is used for nothing else.
pub trait CheckpointSigner: Send + Sync + 'static {
    /// The public half.
    fn public_key(&self) -> PublicKey;

    /// The signature of `text`: 64 bytes of Ed25519 (RFC 8032), r ‖ s of ECDSA P-256 over
    /// SHA-256(text), or 384 bytes of RSA-PSS with SHA-256, MGF1 with SHA-256 and 32 bytes of salt.
    ///
    /// # Errors
    /// When the token does not sign; the checkpoint is then made later.
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;
}

/// A checkpoint whose signature this process made or checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: String,
    origin: String,
    size: u64,
    root: Hash,
}

/// Why a text is not a checkpoint of this log.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// Not a signed note, or not a checkpoint in it.
    #[error("this is not a checkpoint in the form of a signed note")]
    Form,
    /// Not signed by the key, or the signature is wrong.
    #[error("the checkpoint is not signed by the key {name}")]
    Signature {
        /// The name of the key that was expected.
        name: String,
    },
    /// Signed by a key that another had replaced at a smaller size.
    #[error("the key {name} was replaced at {size} records and signs no larger checkpoint")]
    Replaced {
        /// The old key.
        name: String,
        /// The log's size at the change.
        size: u64,
    },
    /// Of another log.
    #[error("the checkpoint is of the log {found}, not of {expected}")]
    Origin {
        /// The key's name.
        expected: String,
        /// The origin in the text.
        found: String,
    },
    /// The token did not sign.
    #[error("the token did not sign the checkpoint")]
    Signer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The token's signature does not fit its public key.
    #[error("the token signed the checkpoint wrongly")]
    WrongSignature,
    /// The origin cannot be the name of a key.
    #[error("an origin has no spaces and no plus signs, and is not empty")]
    OriginForm,
}

impl SignedCheckpoint {
    /// The whole note.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of records that it covers.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The RFC 6962 root over them.
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// The head alone.
    pub const fn known_head(&self) -> KnownHead {
        KnownHead { size: self.size, root: self.root }
    }

    /// Has a head signed, and checks the signature before it is given out.
    ///
    /// # Errors
    /// When the token does not sign, or wrongly.
    pub fn sign(origin: &str, head: &Head, signer: &dyn CheckpointSigner) -> Result<Self, CheckpointError> {
        let key = VerifierKey::new(origin, signer.public_key()).map_err(|_| CheckpointError::OriginForm)?;
        let text = Checkpoint::new(origin, head.size, tlog_tiles::Hash(head.root), "")
            .map_err(|_| CheckpointError::OriginForm)?
            .to_bytes();
        let signature = signer.sign(&text).map_err(CheckpointError::Signer)?;
        let signature = key.line(&signature).ok_or(CheckpointError::WrongSignature)?;
        let note = Note::new(&text, &[signature]).map_err(|_| CheckpointError::OriginForm)?.to_bytes();
        key.open(&note).map_err(|_| CheckpointError::WrongSignature)
    }
}

impl VerifierKey {
    /// Checks a signed checkpoint with this key.
    ///
    /// # Errors
    /// When it is not one, is of another log, or this key did not sign it.
    pub fn open(&self, note: &[u8]) -> Result<SignedCheckpoint, CheckpointError> {
        let parsed = Note::from_bytes(note).map_err(|_| CheckpointError::Form)?;
        let known = VerifierList::new(vec![Box::new(self.clone())]);
        parsed.verify(&known).map_err(|_| CheckpointError::Signature { name: self.to_string() })?;
        let checkpoint = Checkpoint::from_bytes(parsed.text()).map_err(|_| CheckpointError::Form)?;
        if checkpoint.origin() != self.name() {
            let (expected, found) = (self.name().to_owned(), checkpoint.origin().to_owned());
            return Err(CheckpointError::Origin { expected, found });
        }
        Ok(SignedCheckpoint {
            note: String::from_utf8(note.to_vec()).map_err(|_| CheckpointError::Form)?,
            origin: checkpoint.origin().to_owned(),
            size: checkpoint.size(),
            root: checkpoint.hash().0,
        })
    }
}
