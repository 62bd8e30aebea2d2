//! The wrapped records, cached as ciphertext, so that no signature waits for a search. Their place
//! stays the source of truth; a clear scalar is never here.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::entry::Entry;
use crate::arena::{Arena, Slot};
use crate::error::EnclaveError;
use crate::health::Findings;
use crate::key::{KeyEntry, KeyId};
use crate::pkcs11::{Session, TokenError};
use crate::records::RecordsError;
use crate::token::connection::TokenConnection;
use crate::wrap::{self, EntryKind, RecordError, WrappedKey};

/// The records that were found under one key's label.
#[derive(Default)]
struct Copies {
    count: usize,
    /// Those that can be parsed and name the key; whether they are authentic is not known.
    sound: Vec<WrappedKey>,
}

/// Records that a start names in its log, one line each.
const PROBLEMS_NAMED: usize = 100;

fn report(id: KeyId, number: usize, problem: Option<RecordError>) {
    let problem = problem.map_or("it is another key's".to_owned(), |problem| problem.to_string());
    match number {
        ..=PROBLEMS_NAMED => tracing::error!(key = %id, %problem, "a record cannot be read"),
        _ if number == PROBLEMS_NAMED + 1 => {
            tracing::error!("further records that cannot be read are not named")
        }
        _ => {}
    }
}

/// All records by key id.
#[derive(Default)]
pub(crate) struct Index {
    entries: RwLock<HashMap<KeyId, Arc<Entry>>>,
    /// Keys whose record was no authentic record of theirs when it was last read.
    unreadable: RwLock<BTreeSet<KeyId>>,
    /// Keys of entries that are suspected or withdrawn: those that a health check names, without a search of all.
    refused: RwLock<BTreeSet<KeyId>>,
    /// Initialisation vectors under the key-encryption key, also of records that were destroyed since the start.
    ivs: RwLock<HashSet<Box<[u8]>>>,
}

impl Index {
    /// Reads every record and authenticates it by decrypting it once.
    pub(crate) fn load(
        connection: &TokenConnection,
        slot: &mut Slot,
    ) -> Result<(Self, Findings), RecordsError> {
        let mut session = connection.session()?;
        let mut records: HashMap<KeyId, Copies> = HashMap::new();
        let mut findings = Findings::default();
        let mut problems = 0;
        wrap::scan(&*connection.records(&session), |found| match found {
            EntryKind::Key(id, record) => {
                let copies = records.entry(id).or_default();
                copies.count += 1;
                match *record {
                    // A record under another label takes no memory: there may be a million.
                    Ok(record) if record.header.key == id => copies.sound.push(record),
                    read => {
                        problems += 1;
                        report(id, problems, read.err());
                    }
                }
            }
            EntryKind::Internal => {}
            EntryKind::Incomplete => findings.incomplete += 1,
            EntryKind::Foreign => findings.foreign += 1,
        })?;
        let (mut entries, mut unreadable) = (HashMap::new(), BTreeSet::new());
        for (id, copies) in records {
            let duplicated = copies.count > 1;
            match the_authentic(&mut session, connection, id, copies.sound.into_iter(), slot)? {
                Some(entry) => {
                    entries.insert(id, Arc::new(entry));
                    if duplicated {
                        findings.duplicated.push(id);
                    }
                }
                None => {
                    unreadable.insert(id);
                }
            }
        }
        findings.unreadable = unreadable.iter().copied().collect();
        findings.duplicated.sort();
        let ivs = entries.values().map(|entry: &Arc<Entry>| entry.record.iv().into()).collect();
        let (entries, unreadable) = (RwLock::new(entries), RwLock::new(unreadable));
        Ok((Self { entries, unreadable, refused: RwLock::default(), ivs: RwLock::new(ivs) }, findings))
    }

    /// Every key that cannot be read now, by id.
    pub(crate) fn unreadable(&self) -> Vec<KeyId> {
        let mut ids = self.unreadable.read().unwrap_or_else(PoisonError::into_inner).clone();
        ids.extend(self.refused.read().unwrap_or_else(PoisonError::into_inner).iter());
        ids.into_iter().collect()
    }

    /// The token does not open the record: refused until it does.
    pub(crate) fn suspect(&self, entry: &Entry) {
        let mut refused = self.refused.write().unwrap_or_else(PoisonError::into_inner);
        entry.suspect();
        refused.insert(entry.record.header.key);
    }

    /// This host is at fault: refused as long as the process runs.
    pub(crate) fn withdraw(&self, entry: &Entry) {
        let mut refused = self.refused.write().unwrap_or_else(PoisonError::into_inner);
        entry.withdraw();
        refused.insert(entry.record.header.key);
    }

    /// Tries an unreadable key once more; whether it is usable now.
    pub(crate) fn retest(
        &self,
        connection: &TokenConnection,
        id: KeyId,
        arena: &mut Arena,
    ) -> Result<bool, RecordsError> {
        let mut session = connection.session()?;
        let (slot, stack) = arena.parts();
        let known = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(entry) = known {
            let opens = entry.is_suspected()
                && wrap::open(&session, connection.session_kek, &entry.record, slot)
                    .is_ok_and(|mut scalar| scalar.belongs_to(stack, &entry.public_key.g1).unwrap_or(false));
            if opens {
                let mut refused = self.refused.write().unwrap_or_else(PoisonError::into_inner);
                if entry.clear() {
                    refused.remove(&id);
                }
            }
            return Ok(opens);
        }
        let found = wrap::find_labelled(&*connection.records(&session), &wrap::key_label(id))?;
        let records = found.into_iter().filter_map(Result::ok);
        let Some(entry) = the_authentic(&mut session, connection, id, records, slot)? else {
            return Ok(false);
        };
        // Destroyed meanwhile: it must not come back.
        if !self.unreadable.write().unwrap_or_else(PoisonError::into_inner).remove(&id) {
            return Ok(false);
        }
        self.take_iv(entry.record.iv());
        self.insert(entry);
        Ok(true)
    }

    /// The record to work with.
    pub(crate) fn find(&self, id: KeyId) -> Result<Arc<Entry>, EnclaveError> {
        if let Some(entry) = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            entry.check_usable()?;
            return Ok(Arc::clone(entry));
        }
        if self.is_unreadable(id) { Err(EnclaveError::KeyUnreadable) } else { Err(EnclaveError::UnknownKey) }
    }

    pub(crate) fn is_unreadable(&self, id: KeyId) -> bool {
        self.unreadable.read().unwrap_or_else(PoisonError::into_inner).contains(&id)
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
        self.unreadable.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.refused.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn describe(&self, id: KeyId) -> Option<KeyEntry> {
        self.find(id).ok().map(|entry| entry.describe())
    }

    /// Every record, by id.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = entries.values().cloned().collect();
        all.sort_by_key(|entry| entry.record.header.key);
        all
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

/// The one authentic record of this key. Two different ones: which of them is the key is not for this program to say.
fn the_authentic(
    session: &mut Session,
    connection: &TokenConnection,
    id: KeyId,
    records: impl Iterator<Item = WrappedKey>,
    slot: &mut Slot,
) -> Result<Option<Entry>, TokenError> {
    let mut sound = Vec::new();
    for record in records {
        if authentic(session, connection, id, &record, slot)? && !sound.contains(&record) {
            sound.push(record);
        }
    }
    Ok(sound.pop().filter(|_| sound.is_empty()).and_then(Entry::new))
}

/// Whether the record is this key's, of this key-encryption key, and its tag is right.
fn authentic(
    session: &mut Session,
    connection: &TokenConnection,
    id: KeyId,
    record: &WrappedKey,
    slot: &mut Slot,
) -> Result<bool, TokenError> {
    if let Err(problem) = connection.admits(id, record) {
        tracing::error!(key = %id, "{problem}");
        return Ok(false);
    }
    let Err(problem) = wrap::open(session, connection.session_kek, record, slot).map(drop) else {
        return Ok(true);
    };
    tracing::error!(key = %id, %problem, "a record does not decrypt");
    // A session that saw an error may be poisoned: a new one says whether the record or the token is at fault.
    *session = connection.session()?;
    connection.check_decryption(session, slot).map(|()| false).map_err(|_| problem.as_token_error())
}
