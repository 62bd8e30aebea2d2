//! The records of the token, cached as ciphertext, so that no signature waits for a search. The token
//! stays the source of truth; a clear scalar is never here.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::arena::Slot;
use crate::error::EnclaveError;
use crate::health::Findings;
use crate::key::{KeyEntry, KeyId, PublicKey};
use crate::pkcs11::{Session, TokenError};
use crate::token::connection::TokenConnection;
use crate::wrap::{self, Fingerprint, ObjectKind, Payload, WrappedKey};

/// One authentic record.
pub(crate) struct Entry {
    pub(crate) record: WrappedKey,
    pub(crate) public_key: PublicKey,
    /// Keyed digest of the scalar that was seen to belong to the public key; none before its first use.
    proof: OnceLock<Fingerprint>,
    standing: AtomicU8,
}

const USABLE: u8 = 0;
const DAMAGED: u8 = 1;
const DESTROYED: u8 = 2;

impl Entry {
    /// None for a canary.
    pub(crate) fn new(record: WrappedKey) -> Option<Self> {
        match record.header.payload {
            Payload::Scalar(public_key) => {
                Some(Self { record, public_key, proof: OnceLock::new(), standing: AtomicU8::new(USABLE) })
            }
            Payload::Canary | Payload::StoreKey => None,
        }
    }

    /// The digest to compare an unlocked scalar with, once one was proven.
    pub(crate) fn proof(&self) -> Option<&Fingerprint> {
        self.proof.get()
    }

    /// Takes the digest of a scalar that was just seen to belong to the public key.
    pub(crate) fn set_proof(&self, digest: Fingerprint) {
        // Another worker may have been first; both saw the same scalar.
        let _ = self.proof.set(digest);
    }

    pub(crate) fn set_damaged(&self) {
        self.standing.fetch_max(DAMAGED, Ordering::AcqRel);
    }

    pub(crate) fn set_destroyed(&self) {
        self.standing.fetch_max(DESTROYED, Ordering::AcqRel);
    }

    /// Refuses damaged and destroyed records, also for work that was queued before they became so.
    pub(crate) fn check_usable(&self) -> Result<(), EnclaveError> {
        match self.standing.load(Ordering::Acquire) {
            DAMAGED => Err(EnclaveError::KeyDamaged),
            DESTROYED => Err(EnclaveError::UnknownKey),
            _ => Ok(()),
        }
    }

    fn describe(&self) -> KeyEntry {
        let header = &self.record.header;
        KeyEntry {
            id: header.key,
            owner: header.owner,
            name: header.name,
            version: header.version,
            public_key: self.public_key,
            created: header.created,
        }
    }
}

/// All records by key id.
#[derive(Default)]
pub(crate) struct Index {
    entries: RwLock<HashMap<KeyId, Arc<Entry>>>,
    /// Keys whose record in the token is no authentic record of theirs.
    damaged: RwLock<BTreeSet<KeyId>>,
    /// Initialisation vectors under the key-encryption key, also of records that were destroyed since the start.
    ivs: RwLock<HashSet<Box<[u8]>>>,
}

impl Index {
    /// Reads every object of the token and authenticates every record by decrypting it once.
    pub(crate) fn load(
        connection: &TokenConnection,
        slot: &mut Slot,
    ) -> Result<(Self, Findings), TokenError> {
        let mut session = connection.session()?;
        let mut records: HashMap<KeyId, Vec<Option<WrappedKey>>> = HashMap::new();
        let mut findings = Findings::default();
        wrap::scan(&session, |found| match found {
            ObjectKind::Key(id, record) => {
                if let Err(problem) = &*record {
                    tracing::error!(key = %id, %problem, "a record in the token is damaged");
                }
                records.entry(id).or_default().push(record.ok());
            }
            ObjectKind::Internal => {}
            ObjectKind::Incomplete => findings.incomplete += 1,
            ObjectKind::Foreign => findings.foreign += 1,
        })?;
        let (mut entries, mut damaged) = (HashMap::new(), BTreeSet::new());
        for (id, copies) in records {
            let duplicated = copies.len() > 1;
            let mut sound = Vec::new();
            for record in copies.into_iter().flatten() {
                if authentic(&mut session, connection, id, &record, slot)? && !sound.contains(&record) {
                    sound.push(record);
                }
            }
            // Two different authentic records of one id: which one is the key is not for this program to say.
            match (sound.pop().filter(|_| sound.is_empty())).and_then(Entry::new) {
                Some(entry) => {
                    entries.insert(id, Arc::new(entry));
                    if duplicated {
                        findings.duplicated.push(id);
                    }
                }
                None => {
                    damaged.insert(id);
                }
            }
        }
        findings.damaged = damaged.iter().copied().collect();
        findings.duplicated.sort();
        let ivs = entries.values().map(|entry: &Arc<Entry>| entry.record.iv().into()).collect();
        let (entries, damaged) = (RwLock::new(entries), RwLock::new(damaged));
        Ok((Self { entries, damaged, ivs: RwLock::new(ivs) }, findings))
    }

    /// The record to work with.
    pub(crate) fn find(&self, id: KeyId) -> Result<Arc<Entry>, EnclaveError> {
        if let Some(entry) = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            entry.check_usable()?;
            return Ok(Arc::clone(entry));
        }
        if self.is_damaged(id) { Err(EnclaveError::KeyDamaged) } else { Err(EnclaveError::UnknownKey) }
    }

    pub(crate) fn is_damaged(&self, id: KeyId) -> bool {
        self.damaged.read().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    /// Whether no record had this initialisation vector so far; one has it from now on.
    pub(crate) fn take_iv(&self, iv: &[u8]) -> bool {
        self.ivs.write().unwrap_or_else(PoisonError::into_inner).insert(iv.into())
    }

    pub(crate) fn insert(&self, entry: Entry) {
        let id = entry.record.header.key;
        self.entries.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(entry));
    }

    pub(crate) fn remove(&self, id: KeyId) {
        if let Some(entry) = self.entries.write().unwrap_or_else(PoisonError::into_inner).remove(&id) {
            entry.set_destroyed();
        }
        self.damaged.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn describe(&self, id: KeyId) -> Option<KeyEntry> {
        self.find(id).ok().map(|entry| entry.describe())
    }

    /// Every usable key, by id.
    pub(crate) fn list(&self) -> Vec<KeyEntry> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let usable = entries.values().filter(|entry| entry.check_usable().is_ok());
        let mut list: Vec<_> = usable.map(|entry| entry.describe()).collect();
        list.sort_by_key(|entry| entry.id);
        list
    }

    pub(crate) fn count(&self) -> usize {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Whether the record is this key's, of this key-encryption key, and its tag is right.
fn authentic(
    session: &mut Session,
    connection: &TokenConnection,
    id: KeyId,
    record: &WrappedKey,
    slot: &mut Slot,
) -> Result<bool, TokenError> {
    if record.header.key != id || record.header.kek != connection.kek.id {
        tracing::error!(key = %id, "a record in the token is another key's");
        return Ok(false);
    }
    // A record under another scheme than the canary's was not made by this service: nothing is downgraded.
    if record.header.scheme != connection.scheme {
        tracing::error!(key = %id, "a record in the token has another wrapping scheme than the canary");
        return Ok(false);
    }
    let Err(problem) = wrap::open(session, connection.session_kek, record, slot).map(drop) else {
        return Ok(true);
    };
    tracing::error!(key = %id, %problem, "a record in the token does not decrypt");
    // A session that saw an error may be poisoned: a new one says whether the record or the token is at fault.
    *session = connection.session()?;
    connection.check_decryption(session, slot).map(|()| false).map_err(|_| problem.as_token_error())
}
