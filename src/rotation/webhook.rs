//! Tells configured hooks what happened to keys: signed, in order per key, again and again until they have it.
//!
//! Header `X-AVS-KMS-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256(secret, "<t>.<body>")>`: a receiver checks the
//! signature over the bytes as they came, refuses an old `t`, and knows a repetition by the `seq` in the body.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::watch;

use crate::outbound::{Endpoint, Outbound};
use crate::service::Service;
use crate::store::{Delivery, StoreError};

/// How often the outbox is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What signs deliveries; shared with the receiver.
pub struct Secret(SecretSlice<u8>);

/// The secret is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a webhook secret has at least 32 characters")]
pub struct SecretError;

impl Secret {
    /// The secret with these bytes.
    ///
    /// # Errors
    /// When it can be guessed.
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
    /// What the store calls it: a hash, because the URL may hold a key.
    id: String,
    endpoint: Endpoint,
}

impl WebhookTarget {
    /// The hook with this URL.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn new(url: &str) -> Result<Self, crate::outbound::ParseEndpointError> {
        Ok(Self { id: hex::encode(Sha256::digest(url)), endpoint: url.parse()? })
    }
}

/// Delivers events.
#[derive(Debug)]
pub struct Webhooks {
    service: Arc<Service>,
    hooks: Vec<WebhookTarget>,
    secret: Secret,
    outbound: Outbound,
}

impl Webhooks {
    /// Delivery to these hooks; events of before a hook was first configured are not sent to it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn new(
        service: Arc<Service>,
        hooks: Vec<WebhookTarget>,
        secret: Secret,
        outbound: Outbound,
    ) -> Result<Self, StoreError> {
        let ids: Vec<_> = hooks.iter().map(|hook| hook.id.clone()).collect();
        service.store().set_hooks(&ids)?;
        Ok(Self { service, hooks, secret, outbound })
    }

    /// Delivers until it is told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let more = self.deliver().await;
            let wait = if more { Duration::ZERO } else { LOOK };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Tries what is due once; says whether something went out, so that there may be more at once.
    pub async fn deliver(&self) -> bool {
        let now = self.service.clock().moment().wall;
        let due = match self.service.store().due_deliveries(now) {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be read");
                return false;
            }
        };
        let mut went = false;
        for delivery in &due {
            let Some(hook) = self.hooks.iter().find(|hook| hook.id == delivery.hook) else { continue };
            let taken = self.send(hook, delivery).await;
            let store = self.service.store();
            let kept = if taken { store.delivered(delivery) } else { store.not_delivered(delivery, now) };
            if let Err(error) = kept {
                tracing::error!(%error, "the outbox cannot be written");
                return false;
            }
            went |= taken;
        }
        went
    }

    async fn send(&self, hook: &WebhookTarget, delivery: &Delivery) -> bool {
        let body = delivery.event.to_json().to_string().into_bytes();
        let seconds = self.service.clock().moment().wall.as_second();
        let signature = self.secret.signature(seconds, &body);
        let headers =
            [("x-avs-kms-signature", signature.as_str()), ("x-avs-kms-event", &delivery.event.kind)];
        let (endpoint, seq) = (&hook.endpoint, delivery.event.seq);
        match self.outbound.post_json(endpoint, &headers, body).await {
            Ok(reply) if reply.is_success() => true,
            Ok(reply) => {
                tracing::warn!(%endpoint, seq, status = reply.status, "a webhook did not take an event");
                false
            }
            Err(error) => {
                tracing::warn!(%endpoint, seq, error = &error as &dyn std::error::Error, "a webhook was not reached");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256_over_time_and_body() {
        let secret = Secret::new(vec![b'k'; 32]).unwrap();
        // printf '1700000000.{"seq":1}' | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
        let expected = "t=1700000000,v1=5e71a8c43c4d0dc5ff6919a6f20eb24a1ad4dc3775c8aa78fd66acc38c476a5f";
        assert_eq!(secret.signature(1_700_000_000, br#"{"seq":1}"#), expected);
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert!(Secret::new(vec![b'k'; 31]).is_err());
    }
}
