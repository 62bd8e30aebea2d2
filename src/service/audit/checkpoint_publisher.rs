//! Where the head of the audit log goes when it leaves: files, a log line, the token itself, a webhook; and what is done
//! when the log lacks a past that one of them kept.
//!
//! Not for: what a checkpoint is (`audit`), showing one to a client (`checkpoints`).

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::service::audit::checkpoint_webhook::{self, Webhook};
use serde_json::{Value as Json, json};
use thiserror::Error;
use tokio::sync::watch;

use crate::metrics;
use crate::outbound::Outbound;
use crate::service::custody::TokenAnchor;
use crate::service::{Service, ServiceError, now};
use audit_log::{
    Actor, Event, Input, KnownHead, PublisherSettings, RollbackDetected, SignedCheckpoint, Value, VerifierKey,
};

/// Where checkpoints go.
#[derive(Debug)]
pub struct Publish {
    /// Copies of the newest one, on other disks.
    pub files: Vec<PathBuf>,
    /// Every record as a line of JSON.
    pub mirror: Option<PathBuf>,
    /// Gets the newest one as JSON; none when empty.
    pub webhook: String,
    /// How often the token gets the newest one, while there is news.
    pub anchor_every: Duration,
    /// Pasts that the operator gives up by name.
    pub accepted: Vec<KnownHead>,
}

/// How often the head stands in the log, so that log shippers carry it away.
const HEAD_IN_LOG: Duration = Duration::from_secs(60);

/// How often the webhook is called, at most.
const WEBHOOK_EVERY: Duration = Duration::from_secs(10);

/// The log lacks a past and nobody accepted that.
#[derive(Debug, Error)]
#[error(
    "{0}. Nothing is signed over such a log. When it is known why, and the loss is accepted, start once with \
     `--accept-audit-rollback {past}`; that is recorded for ever", past = .0.known
)]
struct NotAccepted(RollbackDetected);

impl Service {
    /// From now on has the token sign checkpoints of the log. Blocks the thread for the first one.
    ///
    /// # Errors
    /// When the log lacks the past that an earlier checkpoint says, or the token does not sign.
    pub async fn publish_checkpoints(&self, publish: Publish) -> Result<(), ServiceError> {
        let Publish { files, mirror, webhook, anchor_every, accepted } = publish;
        let signer = self.custody.checkpoint_signer()?;
        let head = self.audit.head();
        let origin = head.log.origin();
        let key = VerifierKey::new(&origin, signer.public_key()).map_err(ServiceError::internal)?;
        let anchor = self.custody.anchor()?;
        let anchors: Vec<_> = anchor.read()?.into_iter().map(note_in).collect();
        // The first start of all has nothing to look back to.
        if anchors.is_empty() && head.size > 1 {
            tracing::warn!(
                records = head.size,
                "the token holds no copy of the audit log's head: a rollback before this start cannot be noticed by it"
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
        for lost in self.audit.detect_rollback(&publishing).map_err(ServiceError::internal)? {
            if !publishing.accepted.contains(&lost.known) {
                return Err(ServiceError::internal(NotAccepted(lost)));
            }
            tracing::warn!("{lost}; accepted on the command line");
            self.audit.note_durable(acceptance(&lost, head.size)).await?;
        }
        let (newest, receiver) = watch::channel(String::new());
        let public_key = key.to_string();
        let on_checkpoint = shown(anchor, anchor_every);
        publishing.on_checkpoint = Some(Box::new(move |checkpoint| {
            metrics::checkpointed(checkpoint.size());
            on_checkpoint(checkpoint);
            newest.send_replace(body(checkpoint, &public_key).to_string());
        }));
        self.audit.publish(publishing).map_err(ServiceError::internal)?;
        if !webhook.is_empty() {
            let endpoint = webhook.parse().map_err(ServiceError::internal)?;
            let outbound = Outbound::new(checkpoint_webhook::PATIENCE).map_err(ServiceError::internal)?;
            let webhook = Webhook { endpoint, outbound, every: WEBHOOK_EVERY, newest: receiver };
            let (done, ended) = std::sync::mpsc::channel();
            tokio::spawn(async move {
                webhook.run().await;
                // Where nobody waits for the end any more, the answer is not missed.
                let _ = done.send(());
            });
            *self.webhook.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        }
        tracing::info!(%key, "the public key of the audit log");
        // Set once: `publish` refuses a second time.
        let _ = self.checkpoint_key.set(key);
        Ok(())
    }

    /// Token and webhook get the last head, after the log has ended. Blocks.
    pub(in crate::service) fn publish_last(&self) {
        if let Some((checkpoint, anchor)) = self.audit.checkpoint().zip(self.custody.anchor().ok()) {
            keep(&anchor, &checkpoint);
        }
        let webhook = self.webhook.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Not through the runtime: this must not panic on a thread of one, nor without any.
        if let Some(ended) = webhook
            && ended.recv_timeout(2 * checkpoint_webhook::PATIENCE).is_err()
        {
            tracing::warn!("the webhook did not take the last audit checkpoint in time");
        }
    }
}

/// A checkpoint for programs: for the webhook and `GET /v1/audit/checkpoint`.
pub(crate) fn body(checkpoint: &SignedCheckpoint, public_key: &str) -> Json {
    json!({
        "checkpoint": checkpoint.note(),
        "size": checkpoint.size(),
        "root": format!("0x{}", hex::encode(checkpoint.root())),
        "origin": checkpoint.origin(),
        "public_key": public_key,
    })
}

/// What is done with each checkpoint, on the publisher's thread.
fn shown(anchor: TokenAnchor, anchor_every: Duration) -> audit_log::CheckpointSink {
    let (in_log, anchored) = (Mutex::new(None), Mutex::new(None));
    Box::new(move |checkpoint: &SignedCheckpoint| {
        if due(&in_log, HEAD_IN_LOG) {
            let (size, root) = (checkpoint.size(), hex::encode(checkpoint.root()));
            tracing::info!(size, root, origin = checkpoint.origin(), "audit checkpoint");
        }
        if due(&anchored, anchor_every) {
            keep(&anchor, checkpoint);
        }
    })
}

/// Whether that long has passed since the last time; the first time comes at once.
fn due(last: &Mutex<Option<Instant>>, every: Duration) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let due = last.is_none_or(|last| last.elapsed() >= every);
    if due {
        *last = Some(Instant::now());
    }
    due
}

/// Origin, size and root stand in the note, which the token signed.
fn keep(anchor: &TokenAnchor, checkpoint: &SignedCheckpoint) {
    let text = json!({"time": now().to_string(), "checkpoint": checkpoint.note()}).to_string();
    if let Err(error) = anchor.replace(text.into_bytes()) {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the token did not keep the audit log's head"
        );
    }
}

/// The note in an anchor; of anything else the bytes as they are, which will not pass for one.
fn note_in(anchor: Vec<u8>) -> Vec<u8> {
    let parsed = serde_json::from_slice::<Json>(&anchor).ok();
    let note = parsed.as_ref().and_then(|parsed| parsed.get("checkpoint")?.as_str());
    match note {
        Some(note) => note.as_bytes().to_vec(),
        None => anchor,
    }
}

/// Says for ever which past was given up.
fn acceptance(lost: &RollbackDetected, records: u64) -> Event {
    Event {
        operation: "audit.rollback_accepted",
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
