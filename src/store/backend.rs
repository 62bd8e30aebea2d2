//! Interface of a database behind the store.
//!
//! A back end writes what it is given and decides nothing. Each method is one transaction: durable when it returns,
//! or not done at all. It stores a MAC with each row and moves the head on with each change (`authentic`), answers from
//! what it verified, and refuses a file that differs. `backend_tests.rs` holds the tests that every back end must pass.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use hsm::{KeyId, StoreKey};
use jiff::Timestamp;

use super::authentic::Head;
use super::error::StoreError;
use super::key_event::{Delivery, KeyEvent, NewEvent};
use crate::auth::{AccessTokenHash, AccessTokenId, AccessTokenRecord, ChallengeKey, Policy};
use crate::key::ScheduleScope;
use crate::key::{Eoa, Freeze, KeyName, KeyVersion, Reservation, Schedule, VersionStatus};

/// Everything that the store keeps in memory.
#[derive(Debug)]
pub struct Contents {
    /// Complete versions of all keys, in ascending order of their numbers.
    pub versions: Vec<KeyVersion>,
    /// All access tokens.
    pub access_tokens: Vec<(AccessTokenHash, AccessTokenRecord)>,
    /// Policies of keys.
    pub policies: Vec<(Eoa, KeyName, Policy)>,
    /// Rotation schedules.
    pub schedules: Vec<(Eoa, ScheduleScope, Schedule)>,
    /// Whether the service is frozen.
    pub freeze: Option<Freeze>,
    /// The key that authenticates login challenges; derived from the store key.
    pub challenge_key: ChallengeKey,
}

/// A version after a change.
#[derive(Clone, Debug)]
pub struct VersionUpdate {
    /// The status that it must have before; otherwise [`StoreError::Conflict`].
    pub from: VersionStatus,
    /// The version after the change.
    pub version: Arc<KeyVersion>,
}

/// The mark that an intent of the audit log was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentMark {
    /// By its number; until the next start has recorded the outcome.
    Applied(u64),
    /// By the hash of its record; for ever: it was carried out from the record alone.
    TakenAway([u8; 32]),
}

/// Updates of versions of one key, with their events.
#[derive(Clone, Debug)]
pub struct KeyChange {
    /// The versions that change.
    pub updates: Vec<VersionUpdate>,
    /// Events of the change.
    pub events: Vec<NewEvent>,
    /// The mark of the intent, if recovery asks for it.
    pub mark: Option<IntentMark>,
    /// When it happens.
    pub at: Timestamp,
}

/// A login: a used challenge and the access token that it gave.
#[derive(Debug)]
pub struct Login {
    /// Nonce of the challenge.
    pub nonce: [u8; 32],
    /// When the challenge expires.
    pub challenge_expires_at: Timestamp,
    /// Hash of the new access token.
    pub hash: AccessTokenHash,
    /// What is kept of it.
    pub record: AccessTokenRecord,
    /// Login tokens that one EOA may hold, the new one included: the oldest are deleted.
    pub tokens_per_owner: u32,
    /// Challenges and login tokens that expired before this are deleted.
    pub delete_expired_before: Timestamp,
}

/// Whether a challenge gave an access token.
#[derive(Debug, PartialEq, Eq)]
pub enum ChallengeUse {
    /// It did; these access tokens were deleted.
    Accepted(Vec<AccessTokenHash>),
    /// It had been used before; nothing was written.
    AlreadyUsed,
}

/// Webhook deliveries that are not acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingDeliveries {
    /// All of them.
    pub pending: u64,
    /// Those that failed at least once.
    pub failing: u64,
}

/// A database behind the store.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// Verifies every row, and reads what the store keeps in memory.
    async fn load(&self) -> Result<Contents, StoreError>;

    /// The state after the last durable change.
    fn head(&self) -> Head;

    /// The key that authenticates the store.
    fn key(&self) -> &StoreKey;

    /// Whether the store is this earlier state, or came from it by changes that it still has.
    async fn descends_from(&self, counter: u64, chain: [u8; 32]) -> Result<bool, StoreError>;

    /// Makes a change that is none, with a number above this one.
    async fn skip_to(&self, counter: u64) -> Result<(), StoreError>;

    /// Reserves a version before the token creates its key. Replaces an incomplete version of the same id.
    async fn reserve(&self, reservation: Reservation, at: Timestamp) -> Result<(), StoreError>;

    /// Completes a reserved version; its state, times and events are written with it.
    async fn complete(&self, version: Arc<KeyVersion>, events: Vec<NewEvent>) -> Result<(), StoreError>;

    /// Deletes the reservation of this id, if it is incomplete.
    async fn abandon(&self, id: KeyId) -> Result<(), StoreError>;

    /// Reads versions that are reserved and not complete.
    async fn reservations(&self) -> Result<Vec<Reservation>, StoreError>;

    /// Changes versions, stores events and marks the intent.
    async fn change(&self, change: KeyChange) -> Result<(), StoreError>;

    /// Stores what the registry says of a bound version.
    async fn set_registration(&self, version: Arc<KeyVersion>) -> Result<(), StoreError>;

    /// Whether the intent with this mark was carried out.
    async fn is_applied(&self, mark: IntentMark) -> Result<bool, StoreError>;

    /// Deletes the marks of all intents, but of those that take away from the record alone.
    async fn clear_applied_intents(&self) -> Result<(), StoreError>;

    /// Sets or deletes a schedule and marks the intent.
    async fn set_schedule(
        &self,
        owner: Eoa,
        scope: ScheduleScope,
        schedule: Option<Schedule>,
        intent: u64,
    ) -> Result<(), StoreError>;

    /// Freezes the service or ends it, and marks the intent.
    async fn set_freeze(&self, freeze: Option<Freeze>, mark: IntentMark) -> Result<(), StoreError>;

    /// Sets the policy of a key.
    async fn set_policy(&self, owner: Eoa, name: KeyName, policy: Policy) -> Result<(), StoreError>;

    /// Adds access tokens.
    async fn insert_access_tokens(
        &self,
        issued: Vec<(AccessTokenHash, AccessTokenRecord)>,
    ) -> Result<(), StoreError>;

    /// Stores when access tokens were revoked, and the mark of an intent that was carried out from its record alone.
    async fn revoke_access_tokens(
        &self,
        revoked: Vec<(AccessTokenHash, AccessTokenRecord)>,
        mark: Option<IntentMark>,
    ) -> Result<(), StoreError>;

    /// Stores when an access token was last used.
    async fn set_last_use(&self, id: AccessTokenId, at: Timestamp) -> Result<(), StoreError>;

    /// Deletes access tokens.
    async fn delete_access_tokens(&self, hashes: Vec<AccessTokenHash>) -> Result<(), StoreError>;

    /// Whether a challenge was used.
    async fn is_challenge_used(&self, nonce: [u8; 32]) -> Result<bool, StoreError>;

    /// Uses a challenge and adds its access token.
    async fn log_in(&self, login: Login) -> Result<ChallengeUse, StoreError>;

    /// Adds an event and its deliveries.
    async fn append_event(&self, event: NewEvent, at: Timestamp) -> Result<(), StoreError>;

    /// Reads at most `limit` events after number `after`, of one EOA or of all, oldest first.
    async fn events(&self, owner: Option<Eoa>, after: u64, limit: usize)
    -> Result<Vec<KeyEvent>, StoreError>;

    /// Sets the webhooks that later events are kept for; deliveries to all others are deleted.
    async fn set_webhooks(&self, webhooks: Vec<String>) -> Result<(), StoreError>;

    /// Reads what is due for one webhook: the oldest event of each key, so that a key's events arrive in order.
    async fn due_deliveries(&self, webhook: String, now: Timestamp) -> Result<Vec<Delivery>, StoreError>;

    /// Deletes a delivery that the webhook acknowledged.
    async fn delivered(&self, delivery: Delivery) -> Result<(), StoreError>;

    /// Counts one failed attempt and stores when the next one is due.
    async fn retry_delivery(&self, delivery: Delivery, due_at: Timestamp) -> Result<(), StoreError>;

    /// Counts deliveries that are not acknowledged.
    async fn pending_deliveries(&self) -> Result<PendingDeliveries, StoreError>;
}
