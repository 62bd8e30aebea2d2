//! What the audit log shows: checkpoints and proofs to everybody, records to whom they concern.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Asked, Code, Context, Failure, Service};
use crate::audit::{
    ConsistencyProof, InclusionProof, Page, ProofError, Publishing, SignedCheckpoint, VerifierKey,
};
use crate::auth::{Forbidden, Scope, Unauthenticated};
use crate::metrics;

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

/// How often the head stands in the log, so that log shippers carry it away.
const HEAD_IN_LOG: Duration = Duration::from_secs(60);

impl Service {
    /// From now on has the token sign checkpoints of the log.
    ///
    /// # Errors
    /// When the log lacks the past that an earlier checkpoint says, or the token does not sign.
    pub fn publish_checkpoints(&self, files: &[PathBuf], mirror: Option<&Path>) -> Result<(), Failure> {
        let signer = self.custody.checkpoint_signer()?;
        let origin = format!("avs-kms/{}", self.audit.head().log);
        let key = VerifierKey::new(&origin, signer.public_key()).map_err(Failure::internal)?;
        let shown = std::sync::Mutex::new(None::<Instant>);
        let on_checkpoint = move |checkpoint: &SignedCheckpoint| {
            metrics::checkpointed(checkpoint.size());
            let mut shown = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if shown.is_none_or(|last| last.elapsed() >= HEAD_IN_LOG) {
                *shown = Some(Instant::now());
                let root = hex::encode(checkpoint.root());
                tracing::info!(
                    size = checkpoint.size(),
                    root,
                    origin = checkpoint.origin(),
                    "audit checkpoint"
                );
            }
        };
        let publishing = Publishing {
            origin: Some(origin),
            files: files.to_vec(),
            mirror: mirror.map(Path::to_owned),
            on_checkpoint: Some(Box::new(on_checkpoint)),
            ..Publishing::new(signer)
        };
        self.audit.publish(publishing).map_err(Failure::internal)?;
        tracing::info!(%key, "the public key of the audit log");
        // Set once: `publish` refuses a second time.
        let _ = self.checkpoint_key.set(key);
        Ok(())
    }

    /// The newest checkpoint and the key that checks it.
    ///
    /// # Errors
    /// When none is published.
    pub fn checkpoint(&self) -> Result<(Arc<SignedCheckpoint>, &VerifierKey), Failure> {
        let both = self.audit.checkpoint().zip(self.checkpoint_key.get());
        both.ok_or_else(|| Failure::new(Code::NotFound, "there is no checkpoint of the audit log yet"))
    }

    /// That a record is in the log of the newest checkpoint.
    ///
    /// # Errors
    /// When no checkpoint covers it yet.
    pub async fn prove_inclusion(&self, seq: u64) -> Result<InclusionProof, Failure> {
        let audit = self.audit.clone();
        proven(tokio::task::spawn_blocking(move || audit.prove_inclusion(seq)).await)
    }

    /// That the log of one size goes on from the log of another.
    ///
    /// # Errors
    /// When no checkpoint covers them yet.
    pub async fn prove_consistency(&self, sizes: Consistency) -> Result<ConsistencyProof, Failure> {
        let audit = self.audit.clone();
        proven(tokio::task::spawn_blocking(move || audit.prove_consistency(sizes.from, sizes.to)).await)
    }

    /// Records that concern the caller's EOA; all of them for a caller who is bound to none.
    ///
    /// # Errors
    /// When the caller may not, or the log cannot be read.
    pub async fn read_records(&self, context: &Context, wish: ReadRecords) -> Result<Page, Failure> {
        const NAME: &str = "audit.read";
        let caller = context.caller();
        let refused = match caller {
            None => Some(Unauthenticated::Missing.into()),
            Some(caller) if !caller.has(Scope::AuditRead) => Some(Forbidden::Scope(Scope::AuditRead).into()),
            Some(_) => None,
        };
        if let Some(failure) = refused {
            return Err(self.refuse(NAME, context, Asked::default(), failure));
        }
        let page = self.audit.recent(caller.and_then(crate::auth::Caller::eoa), wish.after, wish.limit).await;
        page.map_err(Failure::internal)
    }
}

fn proven<T>(proof: Result<Result<T, ProofError>, tokio::task::JoinError>) -> Result<T, Failure> {
    match proof {
        Ok(Ok(proof)) => Ok(proof),
        Ok(Err(error @ (ProofError::NotYet { .. } | ProofError::Off))) => {
            Err(Failure::new(Code::NotFound, error.to_string()))
        }
        Ok(Err(error @ ProofError::Order)) => Err(Failure::new(Code::InvalidRequest, error.to_string())),
        Ok(Err(error)) => Err(Failure::internal(error)),
        Err(error) => Err(Failure::internal(error)),
    }
}
