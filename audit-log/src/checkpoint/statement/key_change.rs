//! Changes of the checkpoint key: statements that the old and the new key sign together.
//!
//! Both signatures are needed. The old key says which key comes next; the new one says which key it follows and up to
//! which size that one signed. A reader who knows any key of the chain learns the others, and a stolen old key signs
//! nothing beyond the change. Not for: making the keys, or the order of a move (`avs-kms rewrap`).

use std::io;
use std::path::Path;

use signed_note::{Note, VerifierList};

use crate::checkpoint::key::VerifierKey;
use crate::checkpoint::segment_checkpoint::PUBLIC;
use crate::checkpoint::signed::{CheckpointError, CheckpointSigner, SignedCheckpoint};
use crate::format::corruption::{ReadError, io_error};
use crate::format::names::KEY_CHANGES;
use crate::storage::atomic_write::{read_optional, write_atomically};

/// First line of the text. It has spaces, so it is no origin of a checkpoint; no other statement begins with it.
pub(crate) const CONTEXT: &str = "avs-kms change of the checkpoint key v1";

/// One change, with both signatures checked.
#[derive(Clone, Debug)]
pub struct KeyChange {
    note: String,
    /// The log's size at the change. The old key signs no larger one.
    size: u64,
    old: VerifierKey,
    new: VerifierKey,
}

/// The changes of one log, oldest first; each begins with the key that the one before ended with.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyHistory(Vec<KeyChange>);

/// The keys whose checkpoints are believed, and up to which size.
#[derive(Clone, Debug)]
pub(crate) struct TrustedKeys(Vec<(VerifierKey, Option<u64>)>);

impl KeyChange {
    /// Has the change signed by both keys, and checks the signatures before it is given out. The name is the log's.
    ///
    /// # Errors
    /// When a token does not sign, or wrongly, or both keys are one.
    pub fn sign(
        name: &str,
        size: u64,
        old: &dyn CheckpointSigner,
        new: &dyn CheckpointSigner,
    ) -> Result<Self, CheckpointError> {
        let named = |signer: &dyn CheckpointSigner| {
            VerifierKey::new(name, signer.public_key()).map_err(|_| CheckpointError::OriginForm)
        };
        let (old_key, new_key) = (named(old)?, named(new)?);
        let text = format!("{CONTEXT}\n{size} {old_key} {new_key}\n").into_bytes();
        let line = |signer: &dyn CheckpointSigner, key: &VerifierKey| {
            let signature = signer.sign(&text).map_err(CheckpointError::Signer)?;
            key.line(&signature).ok_or(CheckpointError::WrongSignature)
        };
        let signatures = [line(old, &old_key)?, line(new, &new_key)?];
        let note = Note::new(&text, &signatures).map_err(|_| CheckpointError::Form)?.to_bytes();
        Self::parse(&note).map_err(|_| CheckpointError::WrongSignature)
    }

    /// Reads a change and checks both signatures. Whether one of its keys is believed is for the caller to say.
    ///
    /// # Errors
    /// When it is something else, or a signature is missing or wrong.
    pub fn parse(note: &[u8]) -> Result<Self, CheckpointError> {
        let parsed = Note::from_bytes(note).map_err(|_| CheckpointError::Form)?;
        let text = std::str::from_utf8(parsed.text()).map_err(|_| CheckpointError::Form)?;
        let line = text.strip_prefix(CONTEXT).and_then(|rest| rest.strip_prefix('\n'));
        let line = line.and_then(|line| line.strip_suffix('\n')).ok_or(CheckpointError::Form)?;
        let mut words = line.split(' ');
        let (Some(size), Some(old), Some(new), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(CheckpointError::Form);
        };
        let number = size.parse::<u64>().ok().filter(|number| number.to_string() == size);
        let key = |text: &str| text.parse::<VerifierKey>().map_err(|_| CheckpointError::Form);
        let (size, old, new) = (number.ok_or(CheckpointError::Form)?, key(old)?, key(new)?);
        if old.name() != new.name() || old.public_key() == new.public_key() {
            return Err(CheckpointError::Form);
        }
        for key in [&old, &new] {
            let known = VerifierList::new(vec![Box::new(key.clone())]);
            parsed.verify(&known).map_err(|_| CheckpointError::Signature { name: key.to_string() })?;
        }
        let note = String::from_utf8(note.to_vec()).map_err(|_| CheckpointError::Form)?;
        Ok(Self { note, size, old, new })
    }

    /// The whole note.
    pub fn note(&self) -> &str {
        &self.note
    }
}

/// The checkpoint keys of a log whose key has changed, oldest first: the last one signs now. Empty where none followed the
/// first.
///
/// # Errors
/// When the changes cannot be read.
pub fn checkpoint_keys(directory: &Path) -> Result<Vec<VerifierKey>, ReadError> {
    let KeyHistory(changes) = KeyHistory::read(directory)?;
    let first = changes.first().map(|change| change.old.clone());
    Ok(first.into_iter().chain(changes.into_iter().map(|change| change.new)).collect())
}

impl KeyHistory {
    /// The changes that the directory of a log holds; none where there is no file of them.
    pub(crate) fn read(directory: &Path) -> Result<Self, ReadError> {
        let failed = |error: io::Error| io_error(KEY_CHANGES, error);
        let text = read_optional(&directory.join(KEY_CHANGES)).map_err(failed)?.unwrap_or_default();
        let text = std::str::from_utf8(&text).map_err(|error| failed(io::Error::other(error)))?;
        let mut history = Self::default();
        for line in text.lines() {
            let note: String = serde_json::from_str(line).map_err(|error| failed(io::Error::other(error)))?;
            let change =
                KeyChange::parse(note.as_bytes()).map_err(|error| failed(io::Error::other(error)))?;
            history.push(change).map_err(|error| failed(io::Error::other(error)))?;
        }
        Ok(history)
    }

    fn push(&mut self, change: KeyChange) -> Result<(), &'static str> {
        if let Some(last) = self.0.last()
            && (last.new != change.old || last.size > change.size)
        {
            return Err("a change of the checkpoint key does not continue the one before");
        }
        if self.0.iter().any(|before| before.old == change.new) {
            return Err("a checkpoint key that was replaced cannot follow");
        }
        self.0.push(change);
        Ok(())
    }

    /// Adds a change, durably: from here on the new key signs.
    pub(crate) fn append(directory: &Path, change: &KeyChange) -> Result<(), ReadError> {
        let mut history = Self::read(directory)?;
        let failed = |error: io::Error| io_error(KEY_CHANGES, error);
        history.push(change.clone()).map_err(|error| failed(io::Error::other(error)))?;
        let mut text = String::new();
        for change in &history.0 {
            text.push_str(&serde_json::Value::from(change.note()).to_string());
            text.push('\n');
        }
        write_atomically(&directory.join(KEY_CHANGES), text.as_bytes(), PUBLIC).map_err(failed)
    }

    /// The key that follows this one.
    pub(crate) fn successor(&self, key: &VerifierKey) -> Option<&VerifierKey> {
        self.0.iter().find(|change| change.old == *key).map(|change| &change.new)
    }

    /// The keys that one who believes `known` believes.
    fn chain_of(&self, known: &VerifierKey) -> Vec<(VerifierKey, Option<u64>)> {
        let of_chain = |change: &KeyChange| [&change.old, &change.new].contains(&known);
        let Some(last) = self.0.last().filter(|_| self.0.iter().any(of_chain)) else {
            return vec![(known.clone(), None)];
        };
        let old = self.0.iter().map(|change| (change.old.clone(), Some(change.size)));
        old.chain([(last.new.clone(), None)]).collect()
    }
}

impl TrustedKeys {
    /// The known keys, and those that the log's changes join to them.
    pub(crate) fn new(history: &KeyHistory, known: &[VerifierKey]) -> Self {
        Self(known.iter().flat_map(|key| history.chain_of(key)).collect())
    }

    /// Whether there is none, so that nothing can be checked.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks a signed checkpoint with each key.
    pub(crate) fn open(&self, note: &[u8]) -> Result<SignedCheckpoint, CheckpointError> {
        let mut refused = CheckpointError::Form;
        for (key, until) in &self.0 {
            match (key.open(note), until) {
                (Ok(checkpoint), Some(until)) if checkpoint.size() > *until => {
                    return Err(CheckpointError::Replaced { name: key.to_string(), size: *until });
                }
                (Ok(checkpoint), _) => return Ok(checkpoint),
                (Err(error), _) => refused = error,
            }
        }
        Err(refused)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;
    use crate::checkpoint::statement::StatementKind;
    use crate::format::head::Head;
    use crate::format::log_id::LogId;
    use crate::testing::soft_signer::SoftSigner;

    const NAME: &str = "avs-kms/00000000000000000000000000000000";

    fn key(seed: u8) -> VerifierKey {
        VerifierKey::new(NAME, SoftSigner::new(seed).public_key()).unwrap()
    }

    fn change(size: u64, old: u8, new: u8) -> KeyChange {
        KeyChange::sign(NAME, size, &SoftSigner::new(old), &SoftSigner::new(new)).unwrap()
    }

    fn checkpoint(seed: u8, size: u64) -> SignedCheckpoint {
        let head = Head { log: LogId([0; 16]), size, record_hash: [1; 32], root: [2; 32] };
        SignedCheckpoint::sign(NAME, &head, &SoftSigner::new(seed)).unwrap()
    }

    #[test]
    fn one_known_key_leads_to_all_of_the_chain_and_an_old_one_signs_only_up_to_its_change() {
        let directory = tempfile::tempdir().unwrap();
        KeyHistory::append(directory.path(), &change(10, 1, 2)).unwrap();
        KeyHistory::append(directory.path(), &change(20, 2, 3)).unwrap();
        let history = KeyHistory::read(directory.path()).unwrap();
        for known in [1, 2, 3] {
            let keys = TrustedKeys::new(&history, &[key(known)]);
            for (seed, size, believed) in [
                (1, 10, true),
                (1, 11, false),
                (2, 20, true),
                (2, 21, false),
                (3, 9, true),
                (3, 900, true),
                (4, 1, false),
            ] {
                let opened = keys.open(checkpoint(seed, size).note().as_bytes());
                assert_eq!(opened.is_ok(), believed, "known {known}, key {seed}, size {size}");
            }
        }
        let other = TrustedKeys::new(&history, &[key(4)]);
        other.open(checkpoint(4, 5).note().as_bytes()).unwrap();
        other.open(checkpoint(3, 5).note().as_bytes()).unwrap_err();
        assert!(TrustedKeys::new(&history, &[]).is_empty());
        assert_eq!(history.successor(&key(1)).unwrap().to_string(), key(2).to_string());
        assert!(history.successor(&key(3)).is_none());
        assert_eq!(checkpoint_keys(directory.path()).unwrap(), [key(1), key(2), key(3)]);
    }

    #[test]
    fn a_change_with_one_signature_another_order_or_of_one_key_is_refused() {
        let good = change(10, 1, 2);
        KeyChange::sign(NAME, 1, &SoftSigner::new(1), &SoftSigner::new(1)).unwrap_err();
        let lines: Vec<_> = good.note().lines().collect();
        for missing in [3, 4] {
            let mut lines = lines.clone();
            assert!(lines.remove(missing).starts_with('\u{2014}'));
            KeyChange::parse(format!("{}\n", lines.join("\n")).as_bytes()).unwrap_err();
        }
        for (from, to) in [(" 1", " 2"), ("10 ", "11 "), ("10 ", "010 "), ("v1", "v2")] {
            let altered = good.note().replacen(from, to, 1);
            if altered != good.note() {
                KeyChange::parse(altered.as_bytes()).unwrap_err();
            }
        }
        let directory = tempfile::tempdir().unwrap();
        KeyHistory::append(directory.path(), &good).unwrap();
        for wrong in [change(11, 1, 3), change(11, 3, 4), change(9, 2, 3), change(11, 2, 1)] {
            KeyHistory::append(directory.path(), &wrong).unwrap_err();
        }
        assert_eq!(KeyHistory::read(directory.path()).unwrap().0.len(), 1);
    }

    #[test]
    fn a_change_is_no_checkpoint_and_no_statement_and_they_are_no_change() {
        let (good, signer) = (change(10, 1, 2), SoftSigner::new(1));
        key(1).open(good.note().as_bytes()).unwrap_err();
        KeyChange::parse(checkpoint(1, 3).note().as_bytes()).unwrap_err();
        for kind in StatementKind::ALL {
            kind.open(good.note().as_bytes(), &key(1)).unwrap_err();
            KeyChange::parse(kind.sign(NAME, "of it", &signer).unwrap().as_bytes()).unwrap_err();
            assert!(!CONTEXT.starts_with(kind.context()) && !kind.context().starts_with(CONTEXT));
        }
    }

    #[test]
    fn a_file_of_changes_that_is_damaged_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        KeyHistory::append(directory.path(), &change(10, 1, 2)).unwrap();
        let path = directory.path().join(KEY_CHANGES);
        let text = std::fs::read_to_string(&path).unwrap();
        for damaged in [&text[1..], &text[..text.len() / 2], "\u{0}", "\"\"", &format!("{text}{text}")] {
            std::fs::write(&path, damaged).unwrap();
            KeyHistory::read(directory.path()).unwrap_err();
        }
    }
}
