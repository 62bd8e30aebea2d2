//! Carries checkpoints to a webhook: the newest one, at most so often, and the last one before the service ends.
//!
//! A webhook that is slow or away harms nothing: the next checkpoint says all that the missed ones said.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::outbound::{Endpoint, Outbound};

/// One call may take this long, the last one before the end, too.
pub(in crate::service) const PATIENCE: Duration = Duration::from_secs(5);

/// The webhook and the newest checkpoint, as JSON.
pub(in crate::service) struct Webhook {
    pub(in crate::service) endpoint: Endpoint,
    pub(in crate::service) outbound: Outbound,
    pub(in crate::service) every: Duration,
    pub(in crate::service) newest: watch::Receiver<String>,
}

impl Webhook {
    /// Runs until nobody makes checkpoints any more and the last one was tried.
    pub(in crate::service) async fn run(mut self) {
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
        let trouble = match self.outbound.post_json(&self.endpoint, &[], body.as_bytes().to_vec()).await {
            Ok(reply) if reply.is_success() => return true,
            Ok(reply) => format!("it answered {}", reply.status),
            Err(error) => error.to_string(),
        };
        tracing::warn!(webhook = %self.endpoint, trouble, "the webhook did not take the audit checkpoint");
        false
    }

    /// Lets some time pass; true at once when no further checkpoint comes.
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
