//! Indices in memory: versions by key, access tokens by hash and id.

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::{AccessTokenHash, AccessTokenId, AccessTokenRecord};
use crate::key::{Eoa, KeyName, KeyVersion};

/// Versions of each key, oldest first.
#[derive(Debug, Default)]
pub(super) struct KeyIndex(pub(super) HashMap<Eoa, HashMap<KeyName, Vec<Arc<KeyVersion>>>>);

impl FromIterator<KeyVersion> for KeyIndex {
    fn from_iter<I: IntoIterator<Item = KeyVersion>>(versions: I) -> Self {
        let mut index = Self::default();
        versions.into_iter().for_each(|version| index.insert(Arc::new(version)));
        index
    }
}

impl KeyIndex {
    pub(super) fn insert(&mut self, version: Arc<KeyVersion>) {
        let names = self.0.entry(version.eoa).or_default();
        names.entry(version.name.clone()).or_default().push(version);
    }

    pub(super) fn versions(&self, owner: &Eoa, name: &KeyName) -> Option<&[Arc<KeyVersion>]> {
        Some(self.0.get(owner)?.get(name)?)
    }

    /// Replaces the version of the same id.
    pub(super) fn replace(&mut self, version: Arc<KeyVersion>) {
        let versions = self.0.get_mut(&version.eoa).and_then(|names| names.get_mut(&version.name));
        let known = versions.and_then(|versions| versions.iter_mut().find(|known| known.id == version.id));
        if let Some(known) = known {
            *known = version;
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<KeyVersion>> {
        self.0.values().flat_map(HashMap::values).flatten()
    }
}

/// All access tokens, by hash and by id.
#[derive(Debug, Default)]
pub(super) struct AccessTokenIndex {
    pub(super) by_hash: HashMap<AccessTokenHash, AccessTokenRecord>,
    by_id: HashMap<AccessTokenId, AccessTokenHash>,
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
        self.by_hash.insert(hash, record);
    }

    pub(super) fn remove(&mut self, hash: &AccessTokenHash) {
        if let Some(record) = self.by_hash.remove(hash) {
            self.by_id.remove(&record.id);
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
