//! Worker threads: unwrap, multiply, wipe, answer. Not for creating or destroying.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bn254_ct::{FaultCheck, G1Point};
use crossbeam_channel::Receiver;
use tokio::sync::oneshot;
use zeroize::Zeroize;

use super::heartbeat::Heartbeat;
use super::session_worker::SessionWorker;
use super::state::Shared;
use crate::arena::{self, Arena};
use crate::error::{EnclaveError, result_label};
use crate::keys::entry::Entry;
use crate::pkcs11::{Function, TokenError};
use crate::telemetry::{self, OperationKind};
use crate::token::attempt::{Attempt, AttemptError};
use crate::wrap::{self, UnwrapError, UseError};

/// What a worker can be told.
pub(crate) enum Job {
    Multiply(Multiply),
    Leave,
}

/// One multiplication that is waited for.
pub(crate) struct Multiply {
    pub(crate) entry: Arc<Entry>,
    pub(crate) point: G1Point,
    pub(crate) queued: Instant,
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Result<G1Point, EnclaveError>>,
}

/// Runs until told to leave, until the enclave is gone, or until a spare has replaced this thread.
pub(crate) fn run(shared: Arc<Shared>, arena: Arena, heartbeat: &Heartbeat, jobs: &Receiver<Job>) {
    arena::block_signals();
    let (check, digest_key) = (shared.fault_check, shared.digest_key);
    let watched = Arc::clone(&shared);
    let mut worker = SessionWorker::new(shared, arena);
    while let Ok(Job::Multiply(job)) = jobs.recv() {
        // The caller has stopped waiting.
        if job.reply.is_closed() {
            continue;
        }
        let work = || {
            if Instant::now() >= job.deadline {
                return Err(EnclaveError::DeadlineExceeded);
            }
            worker.run_with_retry(job.deadline, Some(&job.entry), |attempt| {
                multiply(attempt, &job, check, &digest_key)
            })
        };
        telemetry::waited(job.queued.elapsed());
        let begun = Instant::now();
        heartbeat.begin();
        // A panic outside the guarded section unwinds past the guard, which wipes; this thread continues.
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            worker.release();
            Err(EnclaveError::Internal("a worker panicked; its slot was wiped".into()))
        });
        telemetry::ended(OperationKind::Multiply, result_label(&result), begun);
        if result.is_ok() {
            watched.note_success();
        }
        // A caller that has just given up gets nothing.
        let _ = job.reply.send(result);
        if !heartbeat.end() {
            break;
        }
    }
    worker.release();
}

fn multiply(
    attempt: Attempt<'_>,
    job: &Multiply,
    check: FaultCheck,
    digest_key: &[u8; 32],
) -> Result<G1Point, AttemptError> {
    let entry = &job.entry;
    entry.check_usable()?;
    let mut blinding = [0; 32];
    getrandom::fill(&mut blinding).map_err(|error| EnclaveError::Internal(error.to_string()))?;
    let (slot, stack) = attempt.arena.parts();
    let g1 = &entry.public_key.g1;
    let unlocked = wrap::open(attempt.session, attempt.connection.session_kek, &entry.record, slot);
    let mut unlocked = unlocked.map_err(UnwrapError::as_token_error)?;
    // The linear check proves the scalar with every product. The curve check does not, so the digest must.
    if check == FaultCheck::Curve {
        let digest = unlocked.fingerprint(stack, digest_key);
        let same = match entry.proof() {
            Some(proof) => *proof == digest,
            None => unlocked.belongs_to(stack, g1).unwrap_or(false),
        };
        if !same {
            return Err(not_its_scalar());
        }
        entry.set_proof(digest);
    }
    let product = unlocked.multiply(stack, &job.point, g1, check, &blinding);
    blinding.zeroize();
    match product {
        // Parsing it checks once more, in code of its own, that it is a point of the curve.
        Ok(product) => G1Point::from_bytes(&product).map_err(|_| AttemptError::Fault),
        Err(UseError::OutOfRange) => Err(not_its_scalar()),
        Err(UseError::Fault(fault)) => {
            tracing::error!(%fault, key = %entry.record.header.key, "a product was withheld");
            match unlocked.belongs_to(stack, g1) {
                Ok(true) => Err(AttemptError::Fault),
                Ok(false) | Err(_) => Err(not_its_scalar()),
            }
        }
    }
}

/// The token claimed success and gave something else than what was sealed: as bad as a wrong tag.
fn not_its_scalar() -> AttemptError {
    tracing::error!("the token decrypted a record to something that is not its scalar");
    TokenError::protocol_violation(Function::Decrypt, "it gave other bytes than were sealed").into()
}
