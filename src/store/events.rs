//! Events of keys for clients: an outbox written with the change itself, and the deliveries to webhooks.
//!
//! Not for: sending (`rotation::webhook`), or history that must not be changed (the audit log).

use std::time::Duration;

use jiff::Timestamp;

use super::backend::PendingDeliveries;
use super::cache::Store;
use super::error::StoreError;
use super::key_event::{Delivery, KeyEvent, LONGEST_RETRY_WAIT};
use crate::key::Eoa;

impl Store {
    /// At most `limit` events after number `after`, of one EOA or of all, oldest first.
    ///
    /// # Errors
    /// When the database fails or holds an invalid row.
    pub async fn events(
        &self,
        owner: Option<Eoa>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<KeyEvent>, StoreError> {
        self.shared().backend.events(owner, after, limit).await
    }

    /// Sets the webhooks that later events are kept for; deliveries to all others are deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_webhooks(&self, webhooks: Vec<String>) -> Result<(), StoreError> {
        self.write(|shared| async move { shared.backend.set_webhooks(webhooks).await }).await
    }

    /// What is due for one webhook: the oldest event of each key.
    ///
    /// # Errors
    /// When the database fails or holds an invalid row.
    pub async fn due_deliveries(&self, webhook: &str, now: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        self.shared().backend.due_deliveries(webhook.to_owned(), now).await
    }

    /// The webhook acknowledged an event.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivered(&self, delivery: Delivery) -> Result<(), StoreError> {
        self.write(|shared| async move { shared.backend.delivered(delivery).await }).await
    }

    /// The webhook did not take an event; the next attempt waits twice as long as the last, at most an hour.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn not_delivered(&self, delivery: Delivery, now: Timestamp) -> Result<(), StoreError> {
        let seconds = 1_u64.checked_shl(delivery.attempts).unwrap_or(u64::MAX);
        let wait = Duration::from_secs(seconds).clamp(Duration::from_secs(1), LONGEST_RETRY_WAIT);
        let due_at = now.saturating_add(wait).unwrap_or(now);
        self.write(|shared| async move { shared.backend.retry_delivery(delivery, due_at).await }).await
    }

    /// Deliveries that are not acknowledged.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_deliveries(&self) -> Result<PendingDeliveries, StoreError> {
        self.shared().backend.pending_deliveries().await
    }
}
