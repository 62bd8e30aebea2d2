//! Statements: texts other than checkpoints that the checkpoint key signs, in the envelope of a checkpoint.
//!
//! The first line says the kind. It has spaces; a checkpoint begins with its origin, which has none. So no signature
//! of one kind can be shown as one of another. Not for: checkpoints (`signed`), what follows from a statement.

pub(crate) mod key_change;

use signed_note::{Note, VerifierList};

use crate::checkpoint::key::VerifierKey;
use crate::checkpoint::signed::{CheckpointError, CheckpointSigner};

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// The manifest of a backup.
    BackupManifest,
    /// A wrapped record of a scheme that authenticates no sender; its signature is in the record, without this envelope.
    WrappedRecord,
}

impl StatementKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::BackupManifest, Self::WrappedRecord];

    /// The first line of its text, which no other kind and no checkpoint begins with.
    pub const fn context(self) -> &'static str {
        match self {
            Self::BackupManifest => "avs-kms backup manifest v1",
            Self::WrappedRecord => "avs-kms wrapped record v1",
        }
    }

    /// Has one line signed, and checks the signature before it is given out. The name is the log's.
    ///
    /// # Errors
    /// When the line has a line end, or the token does not sign, or wrongly.
    pub fn sign(
        self,
        name: &str,
        line: &str,
        signer: &dyn CheckpointSigner,
    ) -> Result<String, CheckpointError> {
        if line.is_empty() || line.contains('\n') {
            return Err(CheckpointError::Form);
        }
        let key = VerifierKey::new(name, signer.public_key()).map_err(|_| CheckpointError::OriginForm)?;
        let text = format!("{}\n{line}\n", self.context()).into_bytes();
        let signature = signer.sign(&text).map_err(CheckpointError::Signer)?;
        let signature = key.line(&signature).ok_or(CheckpointError::WrongSignature)?;
        let note = Note::new(&text, &[signature]).map_err(|_| CheckpointError::Form)?.to_bytes();
        self.open(&note, &key).map_err(|_| CheckpointError::WrongSignature)?;
        String::from_utf8(note).map_err(|_| CheckpointError::Form)
    }

    /// The line of a statement of this kind that this key signed.
    ///
    /// # Errors
    /// When it is something else, or this key did not sign it.
    pub fn open(self, note: &[u8], key: &VerifierKey) -> Result<String, CheckpointError> {
        let parsed = Note::from_bytes(note).map_err(|_| CheckpointError::Form)?;
        let known = VerifierList::new(vec![Box::new(key.clone())]);
        parsed.verify(&known).map_err(|_| CheckpointError::Signature { name: key.to_string() })?;
        let text = std::str::from_utf8(parsed.text()).map_err(|_| CheckpointError::Form)?;
        let line = text.strip_prefix(self.context()).and_then(|rest| rest.strip_prefix('\n'));
        let line = line.and_then(|line| line.strip_suffix('\n')).filter(|line| !line.contains('\n'));
        line.map(str::to_owned).ok_or(CheckpointError::Form)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;
    use crate::checkpoint::signed::SignedCheckpoint;
    use crate::format::head::Head;
    use crate::format::log_id::LogId;
    use crate::testing::soft_signer::SoftSigner;

    const NAME: &str = "avs-kms/00000000000000000000000000000000";

    fn checkpoint(origin: &str, signer: &SoftSigner) -> Result<SignedCheckpoint, CheckpointError> {
        let head = Head { log: LogId([0; 16]), size: 3, record_hash: [1; 32], root: [2; 32] };
        SignedCheckpoint::sign(origin, &head, signer)
    }

    #[test]
    fn a_signature_of_one_kind_is_refused_as_every_other() {
        let signer = SoftSigner::new(7);
        let key = VerifierKey::new(NAME, signer.public_key()).unwrap();
        let statements = StatementKind::ALL.map(|kind| (kind, kind.sign(NAME, "of it", &signer).unwrap()));
        let log = checkpoint(NAME, &signer).unwrap();
        assert_eq!(key.open(log.note().as_bytes()).unwrap().size(), 3);
        for (kind, note) in &statements {
            key.open(note.as_bytes()).unwrap_err();
            kind.open(log.note().as_bytes(), &key).unwrap_err();
            for (other, _) in &statements {
                assert_eq!(other.open(note.as_bytes(), &key).is_ok(), other == kind, "{kind:?} as {other:?}");
            }
        }
    }

    #[test]
    fn no_context_begins_another_and_no_origin_can_be_one() {
        let signer = SoftSigner::new(7);
        for kind in StatementKind::ALL {
            let context = kind.context();
            checkpoint(context, &signer).unwrap_err();
            checkpoint(&format!("{context}\nx"), &signer).unwrap_err();
            assert!(context.contains(' ') && !context.contains('\n'));
            for other in StatementKind::ALL.into_iter().filter(|other| *other != kind) {
                assert!(!other.context().starts_with(context), "{kind:?} and {other:?}");
            }
        }
    }

    #[test]
    fn a_line_of_another_form_is_not_signed_and_another_key_is_refused() {
        let (signer, kind) = (SoftSigner::new(7), StatementKind::BackupManifest);
        for line in ["", "a\nb", "a\n"] {
            kind.sign(NAME, line, &signer).unwrap_err();
        }
        let note = kind.sign(NAME, "a", &signer).unwrap();
        let other = VerifierKey::new(NAME, SoftSigner::new(8).public_key()).unwrap();
        kind.open(note.as_bytes(), &other).unwrap_err();
        let elsewhere = VerifierKey::new("avs-kms/1", signer.public_key()).unwrap();
        kind.open(note.as_bytes(), &elsewhere).unwrap_err();
    }
}
