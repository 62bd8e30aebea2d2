//! Publication of checkpoints: to a webhook, the service's log, the token and files; and the refusal to start over a
//! log that is older than one of them, or of which there is none.
//!
//! Not for: what a checkpoint is (`audit_log`), or answering clients (`reads`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use audit_log::{
    Actor, AuditLog, CheckpointSink, Event, Input, KnownHead, PublicKey, PublishError, PublisherSettings,
    RollbackDetected, SignedCheckpoint, SinkError, Value, VerifierKey,
};
use serde_json::{Value as Json, json};
use thiserror::Error;
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::metrics;
use crate::outbound::{Endpoint, Outbound};
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
    /// How long a place may be without the newest one until the service is not ready.
    pub stuck_after: Duration,
    /// Heads whose loss the administrator accepts.
    pub accepted: Vec<KnownHead>,
}

/// How often the service's log names the head, so that log shippers keep it elsewhere.
const HEAD_IN_LOG: Duration = Duration::from_secs(60);

/// The shortest time between two calls of the webhook.
const WEBHOOK_EVERY: Duration = Duration::from_secs(10);

/// Timeout of one call of the webhook.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(5);

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
    clock: Clock,
}

impl Checkpoints {
    pub(in crate::service) const fn new(
        log: AuditLog,
        custody: Arc<Custody>,
        key: Arc<OnceLock<VerifierKey>>,
        clock: Clock,
    ) -> Self {
        Self { log, custody, key, clock }
    }

    /// Starts the publication: from now on the token signs checkpoints. Blocks for the first one.
    ///
    /// # Errors
    /// When the log is older than a checkpoint that was kept, none was kept, or the token does not sign.
    pub async fn publish(&self, publish: Publish) -> Result<(), ServiceError> {
        let Publish { files, mirror, webhook, anchor_every, stuck_after, accepted } = publish;
        let signer = self.custody.checkpoint_signer()?;
        let head = self.log.head();
        let origin = head.log.origin();
        let key = VerifierKey::new(&origin, signer.public_key()).map_err(ServiceError::internal)?;
        let anchor = self.custody.anchor()?;
        if anchor.is_none() {
            tracing::warn!(
                "the token takes no data objects, so it keeps no checkpoint of the audit log: a disk that was put \
                 back is noticed only by a checkpoint that is kept elsewhere"
            );
        }
        let anchors = anchor.as_ref().map_or(Ok(Vec::new()), TokenAnchor::read)?;
        let anchors: Vec<_> = anchors.into_iter().map(note_in).collect();
        let requires_anchor = anchor.is_some();
        let mut sinks = Vec::new();
        if !webhook.is_empty() {
            let endpoint = webhook.parse().map_err(ServiceError::internal)?;
            let outbound = Outbound::new(WEBHOOK_TIMEOUT).map_err(ServiceError::internal)?;
            sinks.push(webhook_sink(endpoint, outbound, key.to_string(), Handle::current()));
        }
        sinks.push(log_sink());
        sinks.extend(anchor.map(|anchor| anchor_sink(anchor, anchor_every, self.clock.clone())));
        let publishing = PublisherSettings {
            origin: Some(origin),
            files,
            mirror,
            anchors,
            accepted,
            sinks,
            stuck_after,
            requires_anchor,
            ..PublisherSettings::new(signer)
        };
        for lost in self.log.detect_rollback(&publishing).map_err(ServiceError::internal)? {
            if !publishing.accepted.contains(&lost.known) {
                return Err(ServiceError::internal(RollbackNotAccepted(lost)));
            }
            tracing::warn!("{lost}; accepted on the command line");
            self.log.note_durable(acceptance(&lost, head.size)).await?;
        }
        self.log.publish(publishing).map_err(ServiceError::internal)?;
        tracing::info!(%key, "public key of the audit log");
        // Set once: a second `publish` is refused above.
        let _ = self.key.set(key);
        Ok(())
    }
}

/// The kept checkpoints whose heads a log that no service uses does not contain, as a start would find them. `anchors`:
/// none for a token that keeps none.
///
/// # Errors
/// When the log cannot be read.
pub fn compare_log(
    directory: &Path,
    files: &[PathBuf],
    key: PublicKey,
    anchors: Option<Vec<Vec<u8>>>,
) -> Result<Vec<RollbackDetected>, PublishError> {
    let anchors: Option<Vec<_>> = anchors.map(|anchors| anchors.into_iter().map(note_in).collect());
    audit_log::detect_rollback_of(directory, key, files, anchors.as_deref())
}

/// Signs the first checkpoint of a new log and keeps it beside the log and in the token. Blocks.
///
/// # Errors
/// When the token does not sign or store it, or the disk refuses.
pub fn sign_first(log: &audit_log::Settings, custody: &Custody, clock: &Clock) -> Result<(), ServiceError> {
    let signer = custody.checkpoint_signer()?;
    let checkpoint = AuditLog::sign_first(log, &*signer).map_err(ServiceError::internal)?;
    match custody.anchor()? {
        Some(anchor) => keep(&anchor, &checkpoint, clock).map_err(ServiceError::internal),
        None => Ok(()),
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

/// The webhook.
fn webhook_sink(endpoint: Endpoint, outbound: Outbound, key: String, runtime: Handle) -> CheckpointSink {
    CheckpointSink::new(format!("the webhook {endpoint}"), WEBHOOK_EVERY, move |checkpoint| {
        let body = body(checkpoint, &key).to_string().into_bytes();
        let reply = runtime.block_on(outbound.post_json(&endpoint, &[], body))?;
        if reply.is_success() { Ok(()) } else { Err(format!("it answered {}", reply.status).into()) }
    })
}

/// The metrics, and at times the service's log.
fn log_sink() -> CheckpointSink {
    let mut last: Option<Instant> = None;
    CheckpointSink::new("the service's log", Duration::ZERO, move |checkpoint: &SignedCheckpoint| {
        metrics::checkpointed(checkpoint.size());
        if last.is_none_or(|last| last.elapsed() >= HEAD_IN_LOG) {
            last = Some(Instant::now());
            let (size, root) = (checkpoint.size(), hex::encode(checkpoint.root()));
            tracing::info!(size, root, origin = checkpoint.origin(), "audit checkpoint");
        }
        Ok(())
    })
}

/// The token.
fn anchor_sink(anchor: TokenAnchor, every: Duration, clock: Clock) -> CheckpointSink {
    CheckpointSink::new("the token", every, move |checkpoint| keep(&anchor, checkpoint, &clock))
}

fn keep(anchor: &TokenAnchor, checkpoint: &SignedCheckpoint, clock: &Clock) -> Result<(), SinkError> {
    Ok(anchor.replace(anchor_of(checkpoint, clock))?)
}

/// A checkpoint as a token keeps it. The token signed the note, which names origin, size and root.
pub fn anchor_of(checkpoint: &SignedCheckpoint, clock: &Clock) -> Vec<u8> {
    json!({"time": clock.now().to_string(), "checkpoint": checkpoint.note()}).to_string().into_bytes()
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
            ("kept_by", Value::Text(lost.kept_in.clone())),
            ("size", Value::Number(lost.known.size)),
            ("root", Value::Bytes(lost.known.root.to_vec())),
            ("records_here", Value::Number(records)),
            ("why", Value::Text(lost.to_string())),
        ])),
        code: "ok",
    }
}
