//! Delivery of key events to webhooks: signed, in order per key, repeated until the receiver acknowledges.
//!
//! Header `X-AVS-KMS-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256(secret, "<t>.<body>")>`: a receiver checks the
//! signature over the bytes of the body, refuses an old `t`, and detects a repetition by the `seq` in the body.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::outbound::{Endpoint, Outbound, ParseEndpointError};
use crate::store::{Delivery, Store, StoreError};

/// How often the outbox is read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Key that signs deliveries; the receiver has it, too.
pub struct Secret(SecretSlice<u8>);

/// The secret is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a webhook secret has at least 32 characters")]
pub struct SecretError;

impl Secret {
    /// The secret with these bytes.
    ///
    /// # Errors
    /// When it is shorter than 32 bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretError> {
        if bytes.len() < 32 { Err(SecretError) } else { Ok(Self(bytes.into())) }
    }

    /// The value of the signature header.
    fn signature(&self, seconds: i64, body: &[u8]) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else {
            return String::new();
        };
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A receiver.
#[derive(Clone, Debug)]
pub struct WebhookTarget {
    /// Its id in the store: a hash, because the URL may contain a key.
    id: String,
    endpoint: Endpoint,
}

impl WebhookTarget {
    /// The receiver with this URL.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn new(url: &str) -> Result<Self, ParseEndpointError> {
        Ok(Self { id: hex::encode(Sha256::digest(url)), endpoint: url.parse()? })
    }
}

/// Delivers events.
#[derive(Debug)]
pub struct Webhooks {
    targets: Vec<WebhookTarget>,
    sender: Arc<Sender>,
}

#[derive(Debug)]
struct Sender {
    store: Store,
    clock: Clock,
    secret: Secret,
    outbound: Outbound,
}

impl Webhooks {
    /// Delivery to these receivers. A receiver gets the events since it was first configured.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn new(
        (store, clock): (Store, Clock),
        targets: Vec<WebhookTarget>,
        secret: Secret,
        outbound: Outbound,
    ) -> Result<Self, StoreError> {
        store.set_webhooks(targets.iter().map(|target| target.id.clone()).collect()).await?;
        Ok(Self { targets, sender: Arc::new(Sender { store, clock, secret, outbound }) })
    }

    /// Delivers until `stop` is set. Each receiver has a task of its own: a slow one delays no other. A delivery that
    /// the stop cuts off is repeated after the next start.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for target in self.targets {
            let (sender, mut stop) = (Arc::clone(&self.sender), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => {}
                    () = sender.deliver_to(&target) => {}
                }
            });
        }
        tasks.join_all().await;
    }
}

impl Sender {
    async fn deliver_to(&self, target: &WebhookTarget) {
        loop {
            match self.deliver_due(target).await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(POLL_INTERVAL).await,
                Err(error) => {
                    tracing::error!(%error, "the outbox cannot be read or written");
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
        }
    }

    /// Tries what is due once; returns whether an event was acknowledged, so that the next one may be due.
    async fn deliver_due(&self, target: &WebhookTarget) -> Result<bool, StoreError> {
        let mut acknowledged = false;
        for delivery in self.store.due_deliveries(&target.id, self.clock.now()).await? {
            if self.send(target, &delivery).await {
                self.store.delivered(delivery).await?;
                acknowledged = true;
            } else {
                // The wait counts from the end of the attempt: a timeout is longer than the first waits.
                self.store.not_delivered(delivery, self.clock.now()).await?;
            }
        }
        Ok(acknowledged)
    }

    async fn send(&self, target: &WebhookTarget, delivery: &Delivery) -> bool {
        let body = delivery.event.to_json().to_string().into_bytes();
        let signature = self.secret.signature(self.clock.now().as_second(), &body);
        let headers =
            [("x-avs-kms-signature", signature.as_str()), ("x-avs-kms-event", &delivery.event.kind)];
        let (endpoint, seq) = (&target.endpoint, delivery.event.seq);
        match self.outbound.post_json(endpoint, &headers, body).await {
            Ok(reply) if reply.is_success() => true,
            Ok(reply) => {
                tracing::warn!(%endpoint, seq, status = reply.status, "a webhook did not accept an event");
                false
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%endpoint, seq, error, "a webhook was not reached");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
