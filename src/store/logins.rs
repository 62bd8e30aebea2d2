//! Logins: each challenge is used once, in one transaction with the access token that it gives.

use std::time::Duration;

use jiff::Timestamp;

use super::backend::{ChallengeUse, Login};
use super::cache::Store;
use super::error::StoreError;
use crate::auth::{AccessTokenHash, AccessTokenRecord, Challenge};

/// Rows of login tokens of one EOA, expired ones included; one more replaces the oldest. `limits.access_tokens_per_eoa`
/// bounds the valid ones.
const TOKENS_PER_OWNER: u32 = 1_000;

/// How long an expired login token is kept, so that its holder gets `token_expired`.
const KEPT_AFTER_EXPIRY: Duration = Duration::from_secs(3_600);

/// How many tokens are deleted while a login waits.
const DELETED_AT_ONCE: usize = 1_000;

impl Store {
    /// Whether a challenge was used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_challenge_used(&self, nonce: [u8; 32]) -> Result<bool, StoreError> {
        self.shared().backend.is_challenge_used(nonce).await
    }

    /// Deletes login tokens that expired more than an hour ago, and returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_expired_tokens(&self, now: Timestamp) -> Result<usize, StoreError> {
        let before = kept_since(now);
        self.delete_login_tokens(usize::MAX, move |record| record.expires_at <= before).await
    }

    /// Deletes some login tokens that are expired or revoked, and returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_dead_tokens(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.delete_login_tokens(DELETED_AT_ONCE, move |record| {
            record.expires_at <= now || record.revoked_at.is_some()
        })
        .await
    }

    /// Uses a challenge for an access token, both or neither; `false` if it had been used before. Deletes expired
    /// challenges, and login tokens that are long expired or more than one EOA may hold.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_in(
        &self,
        challenge: &Challenge,
        hash: AccessTokenHash,
        record: AccessTokenRecord,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let login = Login {
            nonce: challenge.nonce,
            challenge_expires_at: challenge.expires_at(),
            hash,
            record: record.clone(),
            tokens_per_owner: TOKENS_PER_OWNER,
            delete_expired_before: kept_since(now),
        };
        self.write(|shared| async move {
            let ChallengeUse::Accepted(deleted) = shared.backend.log_in(login).await? else {
                return Ok(false);
            };
            let mut index = shared.access_tokens_mut();
            deleted.iter().for_each(|hash| index.remove(hash));
            index.insert(hash, record);
            Ok(true)
        })
        .await
    }

    /// Chosen in memory: a search of the table would keep every writer waiting.
    async fn delete_login_tokens(
        &self,
        limit: usize,
        matches: impl Fn(&AccessTokenRecord) -> bool + Send + 'static,
    ) -> Result<usize, StoreError> {
        self.write(move |shared| async move {
            let deleted = shared.access_tokens().hashes_of(limit, |record| record.login && matches(record));
            if deleted.is_empty() {
                return Ok(0);
            }
            shared.backend.delete_access_tokens(deleted.clone()).await?;
            let mut index = shared.access_tokens_mut();
            deleted.iter().for_each(|hash| index.remove(hash));
            Ok(deleted.len())
        })
        .await
    }
}

/// What expired before this is deleted. Later than the expiry: an operator may set the clock back.
fn kept_since(now: Timestamp) -> Timestamp {
    now.saturating_sub(KEPT_AFTER_EXPIRY).unwrap_or(Timestamp::MIN)
}
