//! What the audit log shows: checkpoints and proofs to everybody, records to whom they concern.

use std::sync::Arc;

use crate::auth::Scope;
use crate::service::{AuditSubject, Context, ErrorCode, Service, ServiceError};
use audit_log::{ConsistencyProof, InclusionProof, Page, ProofError, SignedCheckpoint, VerifierKey};

/// The sizes between which consistency is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Consistency {
    /// The smaller size, at least 1.
    pub from: u64,
    /// The larger size.
    pub to: u64,
}

/// A page of records.
#[derive(Clone, Copy, Debug)]
pub struct ReadRecords {
    /// After this record.
    pub after: u64,
    /// At most so many.
    pub limit: usize,
}

impl Service {
    /// The newest checkpoint and the key that checks it.
    ///
    /// # Errors
    /// When none is published.
    pub fn checkpoint(&self) -> Result<(Arc<SignedCheckpoint>, &VerifierKey), ServiceError> {
        let both = self.audit.checkpoint().zip(self.checkpoint_key.get());
        both.ok_or_else(|| {
            ServiceError::new(ErrorCode::NotFound, "there is no checkpoint of the audit log yet")
        })
    }

    /// That a record is in the log of the newest checkpoint.
    ///
    /// # Errors
    /// When no checkpoint covers it yet.
    pub async fn prove_inclusion(&self, seq: u64) -> Result<InclusionProof, ServiceError> {
        let audit = self.audit.clone();
        proven(tokio::task::spawn_blocking(move || audit.prove_inclusion(seq)).await)
    }

    /// That the log of one size goes on from the log of another.
    ///
    /// # Errors
    /// When no checkpoint covers them yet.
    pub async fn prove_consistency(&self, sizes: Consistency) -> Result<ConsistencyProof, ServiceError> {
        let audit = self.audit.clone();
        proven(tokio::task::spawn_blocking(move || audit.prove_consistency(sizes.from, sizes.to)).await)
    }

    /// Records that concern the caller's EOA; all of them for a caller who is bound to none.
    ///
    /// # Errors
    /// When the caller may not, or the log cannot be read.
    pub async fn read_records(&self, context: &Context, wish: ReadRecords) -> Result<Page, ServiceError> {
        let eoa = self.authorise_own("audit.read", context, &AuditSubject::default(), Scope::AuditRead)?;
        // No record of its own: it would be the news of the next page, for ever.
        let page = self.audit.page(eoa.map(|eoa| eoa.to_string()), wish.after, wish.limit).await;
        page.map_err(ServiceError::internal)
    }
}

fn proven<T>(proof: Result<Result<T, ProofError>, tokio::task::JoinError>) -> Result<T, ServiceError> {
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
