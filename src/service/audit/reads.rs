//! Reads of the audit log: checkpoints and proofs for every client, records and events for the owner of the keys.

use std::sync::{Arc, OnceLock};

use audit_log::{
    AuditLog, ConsistencyProof, InclusionProof, Page, ProofError, SignedCheckpoint, Value, VerifierKey,
};
use tokio::task::{JoinError, spawn_blocking};

use crate::service::auth::authorise::Authorizer;
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::service::operation::{AUDIT_READ, EVENTS_READ};
use crate::service::recorder::Recorder;
use crate::service::subject::AuditSubject;
use crate::store::{KeyEvent, Store};

/// The tree sizes of a consistency proof.
#[derive(Clone, Copy, Debug)]
pub struct Consistency {
    /// The smaller size, at least 1.
    pub from: u64,
    /// The larger size.
    pub to: u64,
}

/// A request for a page of records.
#[derive(Clone, Copy, Debug)]
pub struct ReadRecords {
    /// Only records behind this number.
    pub after: u64,
    /// At most this many.
    pub limit: usize,
}

/// A request for a page of events.
#[derive(Clone, Copy, Debug)]
pub struct ReadEvents {
    /// Only events behind this number.
    pub after: u64,
    /// At most this many.
    pub limit: usize,
}

/// Reads of the audit log, and of the events of keys.
#[derive(Clone, Debug)]
pub struct AuditReads {
    authorizer: Authorizer,
    recorder: Recorder,
    log: AuditLog,
    store: Store,
    /// The key that verifies checkpoints, once they are published.
    checkpoint_key: Arc<OnceLock<VerifierKey>>,
}

impl AuditReads {
    pub(in crate::service) fn new(
        (authorizer, recorder): (Authorizer, Recorder),
        log: AuditLog,
        store: Store,
        checkpoint_key: Arc<OnceLock<VerifierKey>>,
    ) -> Self {
        Self { authorizer, recorder, log, store, checkpoint_key }
    }

    /// The newest checkpoint and the key that verifies it.
    ///
    /// # Errors
    /// When none is published.
    pub fn checkpoint(&self) -> Result<(Arc<SignedCheckpoint>, &VerifierKey), ServiceError> {
        let both = self.log.checkpoint().zip(self.checkpoint_key.get());
        let message = "there is no checkpoint of the audit log yet";
        both.ok_or_else(|| ServiceError::new(ErrorCode::NotFound, message))
    }

    /// Proves that the log of the newest checkpoint contains a record.
    ///
    /// # Errors
    /// When no checkpoint covers it yet.
    pub async fn prove_inclusion(&self, seq: u64) -> Result<InclusionProof, ServiceError> {
        let log = self.log.clone();
        proof(spawn_blocking(move || log.prove_inclusion(seq)).await)
    }

    /// Proves that the log of one size continues the log of another.
    ///
    /// # Errors
    /// When no checkpoint covers them yet.
    pub async fn prove_consistency(&self, sizes: Consistency) -> Result<ConsistencyProof, ServiceError> {
        let log = self.log.clone();
        proof(spawn_blocking(move || log.prove_consistency(sizes.from, sizes.to)).await)
    }

    /// Records that concern the caller's EOA; all of them for a caller of no EOA.
    ///
    /// # Errors
    /// When the caller may not, or the log cannot be read.
    pub async fn records(&self, context: &Context, request: ReadRecords) -> Result<Page, ServiceError> {
        let owner = self.authorizer.own(&AUDIT_READ, context, &AuditSubject::default())?;
        // No record of its own: each read would make the next page.
        let owner = owner.map(|owner| owner.to_string());
        self.log.page(owner, request.after, request.limit).await.map_err(ServiceError::internal)
    }

    /// Events of the caller's keys, oldest first; of all keys for a caller of no EOA.
    ///
    /// # Errors
    /// When the caller may not read keys, or the store cannot be read.
    pub async fn events(
        &self,
        context: &Context,
        request: ReadEvents,
    ) -> Result<Vec<KeyEvent>, ServiceError> {
        let ReadEvents { after, limit } = request;
        let subject = AuditSubject::fields(vec![("after", Value::Number(after))]);
        let owner = self.authorizer.own(&EVENTS_READ, context, &subject)?;
        self.recorder.note(&EVENTS_READ, context, subject, "ok");
        self.store.events(owner, after, limit).await.map_err(ServiceError::internal)
    }
}

fn proof<T>(proof: Result<Result<T, ProofError>, JoinError>) -> Result<T, ServiceError> {
    match proof {
        Ok(Ok(proof)) => Ok(proof),
        Ok(Err(error @ (ProofError::NotYet { .. } | ProofError::Off))) => {
            Err(ServiceError::new(ErrorCode::NotFound, error.to_string()))
        }
        Ok(Err(error @ ProofError::Order)) => {
            Err(ServiceError::new(ErrorCode::InvalidRequest, error.to_string()))
        }
        Ok(Err(error)) => Err(ServiceError::internal(error)),
        Err(error) => Err(ServiceError::internal(error)),
    }
}
