//! Publication of checkpoints: to files, the service's log, the token and a webhook; and the refusal to start over a
//! log that is older than one of them.
//!
//! Not for: what a checkpoint is (`audit_log`), or answering clients (`reads`).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use audit_log::{
    Actor, AuditLog, CheckpointSink, Event, Input, KnownHead, PublisherSettings, RollbackDetected,
    SignedCheckpoint, Value, VerifierKey,
};
use serde_json::{Value as Json, json};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::checkpoint_webhook::{self, CheckpointWebhook};
use crate::clock::Clock;
use crate::metrics;
use crate::outbound::Outbound;
use crate::service::custody::{Custody, TokenAnchor};
use crate::service::error::ServiceError;
use crate::service::operation::AUDIT_ROLLBACK_ACCEPTED;

/// Where checkpoints are published.
#[derive(Debug)]
pub struct Publish {
    /// Files with the newest one, on other disks.
    pub files: Vec<PathBuf>,
    /// A file with every record as a line of JSON.
    pub mirror: Option<PathBuf>,
    /// URL that gets the newest one as JSON; none when empty.
    pub webhook: String,
    /// How often the token gets the newest one, while there are new records.
    pub anchor_every: Duration,
    /// Heads whose loss the administrator accepts.
    pub accepted: Vec<KnownHead>,
}

/// How often the service's log names the head, so that log shippers keep it elsewhere.
const HEAD_IN_LOG: Duration = Duration::from_secs(60);

/// The shortest time between two calls of the webhook.
const WEBHOOK_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Error)]
#[error(
    "{0}. Nothing is signed over such a log. When the cause is known and the loss is accepted, start once with \
     `--accept-audit-rollback {past}`; the log records that", past = .0.known
)]
struct RollbackNotAccepted(RollbackDetected);

/// Publishes checkpoints of the audit log.
#[derive(Debug)]
pub struct Checkpoints {
    log: AuditLog,
    custody: Arc<Custody>,
    key: Arc<OnceLock<VerifierKey>>,
    webhook: Mutex<Option<JoinHandle<()>>>,
    clock: Clock,
}

impl Checkpoints {
    pub(in crate::service) const fn new(
        log: AuditLog,
        custody: Arc<Custody>,
        key: Arc<OnceLock<VerifierKey>>,
        clock: Clock,
    ) -> Self {
        Self { log, custody, key, webhook: Mutex::new(None), clock }
    }

    /// Starts the publication: from now on the token signs checkpoints. Blocks for the first one.
    ///
    /// # Errors
    /// When the log is older than a checkpoint that was kept, or the token does not sign.
    pub async fn publish(&self, publish: Publish) -> Result<(), ServiceError> {
        let Publish { files, mirror, webhook, anchor_every, accepted } = publish;
        let signer = self.custody.checkpoint_signer()?;
        let head = self.log.head();
        let origin = head.log.origin();
        let key = VerifierKey::new(&origin, signer.public_key()).map_err(ServiceError::internal)?;
        let anchor = self.custody.anchor()?;
        let anchors: Vec<_> = anchor.read()?.into_iter().map(note_in).collect();
        // The very first start has no anchor to compare with.
        if anchors.is_empty() && head.size > 1 {
            tracing::warn!(
                records = head.size,
                "the token holds no checkpoint: it cannot show a rollback of the audit log before this start"
            );
        }
        let mut publishing = PublisherSettings {
            origin: Some(origin),
            files,
            mirror,
            anchors,
            accepted,
            ..PublisherSettings::new(signer)
        };
        for lost in self.log.detect_rollback(&publishing).map_err(ServiceError::internal)? {
            if !publishing.accepted.contains(&lost.known) {
                return Err(ServiceError::internal(RollbackNotAccepted(lost)));
            }
            tracing::warn!("{lost}; accepted on the command line");
            self.log.note_durable(acceptance(&lost, head.size)).await?;
        }
        let (newest, receiver) = watch::channel(String::new());
        let public_key = key.to_string();
        let on_checkpoint = sink(anchor, anchor_every, self.clock.clone());
        publishing.on_checkpoint = Some(Box::new(move |checkpoint| {
            metrics::checkpointed(checkpoint.size());
            on_checkpoint(checkpoint);
            newest.send_replace(body(checkpoint, &public_key).to_string());
        }));
        self.log.publish(publishing).map_err(ServiceError::internal)?;
        if !webhook.is_empty() {
            let endpoint = webhook.parse().map_err(ServiceError::internal)?;
            let outbound = Outbound::new(checkpoint_webhook::TIMEOUT).map_err(ServiceError::internal)?;
            let webhook = CheckpointWebhook { endpoint, outbound, every: WEBHOOK_EVERY, newest: receiver };
            *self.webhook.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokio::spawn(webhook.run()));
        }
        tracing::info!(%key, "public key of the audit log");
        // Set once: a second `publish` is refused above.
        let _ = self.key.set(key);
        Ok(())
    }

    /// Publishes the last head to token and webhook, after the log is closed.
    pub(in crate::service) async fn publish_last(&self) {
        if let Some((checkpoint, anchor)) = self.log.checkpoint().zip(self.custody.anchor().ok()) {
            let now = self.clock.now();
            let kept = spawn_blocking(move || keep(&anchor, &checkpoint, now)).await;
            if let Err(error) = kept {
                tracing::error!(%error, "the token did not store the last audit checkpoint");
            }
        }
        let webhook = self.webhook.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(webhook) = webhook {
            let last = tokio::time::timeout(2 * checkpoint_webhook::TIMEOUT, webhook);
            if last.await.is_err() {
                tracing::warn!("the webhook did not accept the last audit checkpoint in time");
            }
        }
    }
}

/// A checkpoint as the webhook gets it.
fn body(checkpoint: &SignedCheckpoint, public_key: &str) -> Json {
    json!({
        "checkpoint": checkpoint.note(),
        "size": checkpoint.size(),
        "root": format!("0x{}", hex::encode(checkpoint.root())),
        "origin": checkpoint.origin(),
        "public_key": public_key,
    })
}

/// What the publisher's thread does with each checkpoint.
fn sink(anchor: TokenAnchor, anchor_every: Duration, clock: Clock) -> CheckpointSink {
    let (in_log, anchored) = (Mutex::new(None), Mutex::new(None));
    Box::new(move |checkpoint: &SignedCheckpoint| {
        if is_due(&in_log, HEAD_IN_LOG) {
            let (size, root) = (checkpoint.size(), hex::encode(checkpoint.root()));
            tracing::info!(size, root, origin = checkpoint.origin(), "audit checkpoint");
        }
        if is_due(&anchored, anchor_every) {
            keep(&anchor, checkpoint, clock.now());
        }
    })
}

/// Whether this much time has passed since the last time; the first time is due at once.
fn is_due(last: &Mutex<Option<Instant>>, every: Duration) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let due = last.is_none_or(|last| last.elapsed() >= every);
    if due {
        *last = Some(Instant::now());
    }
    due
}

/// The token signed the note, which names origin, size and root.
fn keep(anchor: &TokenAnchor, checkpoint: &SignedCheckpoint, now: jiff::Timestamp) {
    let text = json!({"time": now.to_string(), "checkpoint": checkpoint.note()}).to_string();
    if let Err(error) = anchor.replace(text.into_bytes()) {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, "the token did not store the audit checkpoint");
    }
}

/// The note in an anchor. Anything else is passed on as it is, and is not accepted as a note.
fn note_in(anchor: Vec<u8>) -> Vec<u8> {
    let parsed = serde_json::from_slice::<Json>(&anchor).ok();
    let note = parsed.as_ref().and_then(|parsed| parsed.get("checkpoint")?.as_str());
    match note {
        Some(note) => note.as_bytes().to_vec(),
        None => anchor,
    }
}

/// The record of an accepted rollback.
fn acceptance(lost: &RollbackDetected, records: u64) -> Event {
    Event {
        operation: AUDIT_ROLLBACK_ACCEPTED.name,
        actor: Actor::local(),
        request: None,
        key: None,
        input: Some(Input::Fields(vec![
            ("kept_by", Value::Text(lost.kept_in.to_owned())),
            ("size", Value::Number(lost.known.size)),
            ("root", Value::Bytes(lost.known.root.to_vec())),
            ("records_here", Value::Number(records)),
            ("why", Value::Text(lost.to_string())),
        ])),
        code: "ok",
    }
}
