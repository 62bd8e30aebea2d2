//! Access tokens: the hash of each, what it allows, until when.

use jiff::Timestamp;

use super::backend::IntentMark;
use super::cache::Store;
use super::error::StoreError;
use super::index::AccessTokenIndex;
use super::keys::truncate_to_second;
use crate::auth::{AccessTokenHash, AccessTokenId, AccessTokenRecord, Subject};
use crate::key::Eoa;

/// The last use of a token is written at most once in this time, seconds.
const LAST_USE_INTERVAL: i64 = 60;

impl Store {
    /// Adds an access token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_access_token(
        &self,
        hash: AccessTokenHash,
        record: AccessTokenRecord,
    ) -> Result<(), StoreError> {
        self.write(|shared| async move {
            shared.backend.insert_access_tokens(vec![(hash, record.clone())]).await?;
            shared.access_tokens_mut().insert(hash, record);
            Ok(())
        })
        .await
    }

    /// Revokes an access token; `None` if there is no such token. Revoking twice keeps the first time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_access_token(
        &self,
        id: AccessTokenId,
        at: Timestamp,
    ) -> Result<Option<AccessTokenRecord>, StoreError> {
        self.write_next(move |shared| async move {
            let Some((hash, mut record)) = shared.access_tokens().entry(&id) else { return Ok(None) };
            if record.revoked_at.is_none() {
                record.revoked_at = Some(truncate_to_second(at));
                shared.backend.revoke_access_tokens(vec![(hash, record.clone())], None).await?;
                shared.access_tokens_mut().insert(hash, record.clone());
            }
            Ok(Some(record))
        })
        .await
    }

    /// Revokes every access token of this subject that is not revoked, and returns those.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_access_tokens_of(
        &self,
        subject: Subject,
        at: Timestamp,
    ) -> Result<Vec<AccessTokenRecord>, StoreError> {
        self.revoke_found(move |index| index.unrevoked_of(&subject), at, None).await
    }

    /// Revokes, once, what a record of the audit log asked for without the token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_access_tokens_away(
        &self,
        which: impl Fn(&AccessTokenRecord) -> bool + Send + 'static,
        record: [u8; 32],
        at: Timestamp,
    ) -> Result<Vec<AccessTokenRecord>, StoreError> {
        let matching = move |index: &AccessTokenIndex| {
            index.matching(|record| record.revoked_at.is_none() && which(record))
        };
        self.revoke_found(matching, at, Some(IntentMark::TakenAway(record))).await
    }

    /// Revokes what is found in the index when it is this write's turn.
    async fn revoke_found(
        &self,
        find: impl FnOnce(&AccessTokenIndex) -> Vec<(AccessTokenHash, AccessTokenRecord)> + Send + 'static,
        at: Timestamp,
        mark: Option<IntentMark>,
    ) -> Result<Vec<AccessTokenRecord>, StoreError> {
        self.write_next(move |shared| async move {
            let mut revoked = find(&shared.access_tokens());
            revoked.iter_mut().for_each(|(_, record)| record.revoked_at = Some(truncate_to_second(at)));
            shared.backend.revoke_access_tokens(revoked.clone(), mark).await?;
            let mut index = shared.access_tokens_mut();
            revoked.iter().for_each(|(hash, record)| index.insert(*hash, record.clone()));
            Ok(revoked.into_iter().map(|(_, record)| record).collect())
        })
        .await
    }

    /// Notes in memory that a token was used; `true` once a minute, when it is to be written with
    /// [`write_last_use`](Self::write_last_use).
    pub fn touch(&self, id: &AccessTokenId, at: Timestamp) -> bool {
        let stale = |record: &AccessTokenRecord| {
            record.last_used_at.is_none_or(|last| at.as_second() - last.as_second() >= LAST_USE_INTERVAL)
        };
        if !self.shared().access_tokens().by_id(id).is_some_and(stale) {
            return false;
        }
        let mut index = self.shared().access_tokens_mut();
        let Some(record) = index.by_id_mut(id).filter(|record| stale(record)) else { return false };
        record.last_used_at = Some(at);
        true
    }

    /// Writes when a token was last used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn write_last_use(&self, id: AccessTokenId, at: Timestamp) -> Result<(), StoreError> {
        self.write(|shared| async move { shared.backend.set_last_use(id, at).await }).await
    }

    /// How many access tokens are kept.
    pub fn access_token_count(&self) -> usize {
        self.shared().access_tokens().by_hash.len()
    }

    /// How many access tokens of an EOA are neither revoked nor expired.
    pub fn live_access_tokens_of(&self, eoa: &Eoa, now: Timestamp) -> usize {
        let index = self.shared().access_tokens();
        let is_live = |record: &&AccessTokenRecord| record.revoked_at.is_none() && now < record.expires_at;
        index.of(&Subject::Eoa(*eoa)).map(|(_, record)| record).filter(is_live).count()
    }

    /// Whether there is an access token with this id, revoked or not.
    pub fn has_access_token(&self, id: &AccessTokenId) -> bool {
        self.shared().access_tokens().by_id(id).is_some()
    }

    /// What is known of the access token with this hash.
    pub fn access_token(&self, hash: &AccessTokenHash) -> Option<AccessTokenRecord> {
        self.shared().access_tokens().by_hash.get(hash).cloned()
    }

    /// Whether an access token is neither revoked nor expired.
    pub fn is_live(&self, id: &AccessTokenId, now: Timestamp) -> bool {
        let index = self.shared().access_tokens();
        index.by_id(id).is_some_and(|record| record.revoked_at.is_none() && now < record.expires_at)
    }

    /// At most `most` access tokens, oldest first, behind the one of this time and id.
    pub fn access_tokens_after(
        &self,
        after: Option<&(Timestamp, AccessTokenId)>,
        most: usize,
    ) -> Vec<AccessTokenRecord> {
        fn place(record: &AccessTokenRecord) -> (Timestamp, &AccessTokenId) {
            (record.created_at, &record.id)
        }
        let index = self.shared().access_tokens();
        let records = index.by_hash.values();
        let mut records: Vec<_> =
            records.filter(|record| after.is_none_or(|(at, id)| place(record) > (*at, id))).collect();
        records.sort_unstable_by(|a, b| place(a).cmp(&place(b)));
        records.into_iter().take(most).cloned().collect()
    }
}
