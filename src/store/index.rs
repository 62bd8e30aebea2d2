//! Indices in memory: versions by key, access tokens by hash and id.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::auth::{AccessTokenHash, AccessTokenId, AccessTokenRecord, Subject};
use crate::key::{Eoa, KeyName, KeyVersion};

/// Versions of each key, oldest first.
#[derive(Debug, Default)]
pub(super) struct KeyIndex {
    pub(super) by_eoa: HashMap<Eoa, HashMap<KeyName, Vec<Arc<KeyVersion>>>>,
    /// How many keys there are.
    pub(super) keys: usize,
}

impl FromIterator<KeyVersion> for KeyIndex {
    fn from_iter<I: IntoIterator<Item = KeyVersion>>(versions: I) -> Self {
        let mut index = Self::default();
        versions.into_iter().for_each(|version| index.insert(Arc::new(version)));
        index
    }
}

impl KeyIndex {
    pub(super) fn insert(&mut self, version: Arc<KeyVersion>) {
        let names = self.by_eoa.entry(version.eoa).or_default();
        let versions = names.entry(version.name.clone()).or_default();
        self.keys += usize::from(versions.is_empty());
        versions.push(version);
    }

    pub(super) fn versions(&self, owner: &Eoa, name: &KeyName) -> Option<&[Arc<KeyVersion>]> {
        Some(self.by_eoa.get(owner)?.get(name)?)
    }

    /// Replaces the version of the same id.
    pub(super) fn replace(&mut self, version: Arc<KeyVersion>) {
        let versions = self.by_eoa.get_mut(&version.eoa).and_then(|names| names.get_mut(&version.name));
        let known = versions.and_then(|versions| versions.iter_mut().find(|known| known.id == version.id));
        if let Some(known) = known {
            *known = version;
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<KeyVersion>> {
        self.by_eoa.values().flat_map(HashMap::values).flatten()
    }
}

/// All access tokens, by hash and by id.
#[derive(Debug, Default)]
pub(super) struct AccessTokenIndex {
    pub(super) by_hash: HashMap<AccessTokenHash, AccessTokenRecord>,
    by_id: HashMap<AccessTokenId, AccessTokenHash>,
    by_subject: HashMap<Subject, HashSet<AccessTokenHash>>,
}

impl FromIterator<(AccessTokenHash, AccessTokenRecord)> for AccessTokenIndex {
    fn from_iter<I: IntoIterator<Item = (AccessTokenHash, AccessTokenRecord)>>(tokens: I) -> Self {
        let mut index = Self::default();
        tokens.into_iter().for_each(|(hash, record)| index.insert(hash, record));
        index
    }
}

impl AccessTokenIndex {
    pub(super) fn insert(&mut self, hash: AccessTokenHash, record: AccessTokenRecord) {
        self.by_id.insert(record.id.clone(), hash);
        self.by_subject.entry(record.subject).or_default().insert(hash);
        self.by_hash.insert(hash, record);
    }

    pub(super) fn remove(&mut self, hash: &AccessTokenHash) {
        if let Some(record) = self.by_hash.remove(hash) {
            self.by_id.remove(&record.id);
            if let Entry::Occupied(mut own) = self.by_subject.entry(record.subject) {
                own.get_mut().remove(hash);
                if own.get().is_empty() {
                    own.remove();
                }
            }
        }
    }

    /// At most `limit` tokens that match.
    pub(super) fn hashes_of(
        &self,
        limit: usize,
        matches: impl Fn(&AccessTokenRecord) -> bool,
    ) -> Vec<AccessTokenHash> {
        let matching = self.by_hash.iter().filter(|(_, record)| matches(record));
        matching.map(|(hash, _)| *hash).take(limit).collect()
    }

    pub(super) fn matching(
        &self,
        matches: impl Fn(&AccessTokenRecord) -> bool,
    ) -> Vec<(AccessTokenHash, AccessTokenRecord)> {
        let matching = self.by_hash.iter().filter(|(_, record)| matches(record));
        matching.map(|(hash, record)| (*hash, record.clone())).collect()
    }

    /// The tokens of one subject: not a search of all.
    pub(super) fn of(
        &self,
        subject: &Subject,
    ) -> impl Iterator<Item = (&AccessTokenHash, &AccessTokenRecord)> {
        let own = self.by_subject.get(subject).into_iter().flatten();
        own.filter_map(|hash| self.by_hash.get_key_value(hash))
    }

    pub(super) fn unrevoked_of(&self, subject: &Subject) -> Vec<(AccessTokenHash, AccessTokenRecord)> {
        let unrevoked = self.of(subject).filter(|(_, record)| record.revoked_at.is_none());
        unrevoked.map(|(hash, record)| (*hash, record.clone())).collect()
    }

    pub(super) fn entry(&self, id: &AccessTokenId) -> Option<(AccessTokenHash, AccessTokenRecord)> {
        let hash = self.by_id.get(id)?;
        Some((*hash, self.by_hash.get(hash)?.clone()))
    }

    pub(super) fn by_id(&self, id: &AccessTokenId) -> Option<&AccessTokenRecord> {
        self.by_hash.get(self.by_id.get(id)?)
    }

    pub(super) fn by_id_mut(&mut self, id: &AccessTokenId) -> Option<&mut AccessTokenRecord> {
        self.by_hash.get_mut(self.by_id.get(id)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use jiff::Timestamp;

    use super::*;
    use crate::auth::{AccessToken, Networks, Scopes};

    fn token(subject: Subject) -> (AccessTokenHash, AccessTokenRecord) {
        let record = AccessTokenRecord {
            id: AccessTokenId::random().unwrap(),
            subject,
            scopes: Scopes::all(),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
            revoked_at: None,
            login: false,
            networks: Networks::loopback(),
            keys: Vec::new(),
            last_used_at: None,
            client_certificate: None,
        };
        (AccessToken::random().unwrap().hash(), record)
    }

    #[test]
    fn the_tokens_of_a_subject_are_those_that_a_search_finds() {
        let subjects = [Subject::Any, Subject::Eoa(Eoa::new([1; 20])), Subject::Eoa(Eoa::new([2; 20]))];
        let all: Vec<_> = (0..30).map(|n| token(*subjects.get(n % 3).unwrap())).collect();
        let mut index: AccessTokenIndex = all.iter().cloned().collect();
        let check = |index: &AccessTokenIndex| {
            for subject in &subjects {
                let searched = index.by_hash.values().filter(|record| record.subject == *subject).count();
                assert_eq!(index.of(subject).count(), searched);
            }
        };
        check(&index);
        // A token that is written again is one token.
        let (hash, record) = all.first().unwrap();
        index.insert(*hash, AccessTokenRecord { revoked_at: Some(Timestamp::UNIX_EPOCH), ..record.clone() });
        check(&index);
        assert_eq!(index.unrevoked_of(&record.subject).len(), 9);
        for (hash, _) in &all {
            index.remove(hash);
            check(&index);
        }
        assert!(index.by_subject.is_empty(), "subjects without tokens are forgotten");
    }
}
