//! Delivery of checkpoints to a webhook: the newest one, at most once per interval, and the last one at shutdown.
//!
//! A slow or unreachable webhook harms nothing: the next checkpoint contains the ones before.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::outbound::{Endpoint, Outbound};

/// Timeout of one call, also of the last one.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The webhook and the newest checkpoint, as JSON.
pub(super) struct CheckpointWebhook {
    pub(super) endpoint: Endpoint,
    pub(super) outbound: Outbound,
    pub(super) every: Duration,
    pub(super) newest: watch::Receiver<String>,
}

impl CheckpointWebhook {
    /// Runs until the publisher ends and the last checkpoint was tried.
    pub(super) async fn run(mut self) {
        let mut sent = String::new();
        let mut closed = false;
        loop {
            let newest = self.newest.borrow_and_update().clone();
            if newest != sent && self.post(&newest).await {
                sent = newest;
            }
            if closed {
                return;
            }
            closed = self.pause().await;
        }
    }

    async fn post(&self, body: &str) -> bool {
        let cause = match self.outbound.post_json(&self.endpoint, &[], body.as_bytes().to_vec()).await {
            Ok(reply) if reply.is_success() => return true,
            Ok(reply) => format!("it answered {}", reply.status),
            Err(error) => error.to_string(),
        };
        tracing::warn!(webhook = %self.endpoint, cause, "the webhook did not accept the audit checkpoint");
        false
    }

    /// Waits for the interval; returns `true` at once when no further checkpoint comes.
    async fn pause(&mut self) -> bool {
        let end = Instant::now() + self.every;
        loop {
            match timeout_at(end, self.newest.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return true,
                Err(_) => return false,
            }
        }
    }
}
