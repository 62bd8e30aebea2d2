//! The handle that the service holds: queue, threads and token behind one type. Not for HTTP, audit or policy.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bn254_ct::G1Point;
use crossbeam_channel::{Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use crate::diagnostics::{self, Diagnostics};
use crate::error::{EnclaveError, OpenError};
use crate::health::{CanaryReport, Findings, Health, TokenState};
use crate::key::{KeyEntry, KeyId, NewKey, PublicKey};
use crate::runtime::admin::{AdminCommand, AnchorCommand};
use crate::runtime::initialise::{InitAttempt, Initialised, initialise, undo};
use crate::runtime::start::{self, Running};
use crate::runtime::state::{self, Status};
use crate::runtime::worker::{Job, Multiply};
use crate::settings::Settings;
use crate::token::anchor::ANCHOR_MAX;
use crate::token::checkpoint_key::CheckpointKey;
use crate::token::store_key::StoreKey;

/// The caller of an anchor command waits a little longer than the thread tries.
const GRACE: Duration = Duration::from_millis(200);

/// Handle to the one enclave of this process; clones share it. Dropping the last one closes it.
#[derive(Clone)]
pub struct Enclave {
    running: Arc<Running>,
}

impl fmt::Debug for Enclave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enclave").finish_non_exhaustive()
    }
}

impl Enclave {
    /// Makes the keys and the canary record in an existing token. After an error nothing of that is there.
    ///
    /// # Errors
    /// [`OpenError::AlreadyInitialised`], [`OpenError::Unfinished`], and all that opening can meet.
    pub fn initialise(settings: &Settings) -> Result<Initialised, OpenError> {
        initialise(settings, InitAttempt { installation: KeyId::random()?, adopt: false })
    }

    /// As [`Enclave::initialise`], and takes over a token that is initialised and holds no key yet.
    ///
    /// # Errors
    /// [`OpenError::AlreadyInitialised`] where a wrapped key exists.
    pub fn adopt(settings: &Settings) -> Result<Initialised, OpenError> {
        initialise(settings, InitAttempt { installation: KeyId::random()?, adopt: true })
    }

    /// As [`Enclave::initialise`], of a command that may be repeated: what an attempt of the same installation id left
    /// is destroyed first.
    ///
    /// # Errors
    /// As there.
    pub fn initialise_as(settings: &Settings, attempt: InitAttempt) -> Result<Initialised, OpenError> {
        initialise(settings, attempt)
    }

    /// Destroys what the attempt made in the token, and nothing else; gives the number of objects.
    ///
    /// # Errors
    /// As there; something of it may then be left.
    pub fn undo_init(settings: &Settings, attempt: InitAttempt) -> Result<usize, OpenError> {
        undo(settings, attempt)
    }

    /// Tries all that [`Enclave::initialise`] needs, under labels of its own, and destroys what it made. `own` is the
    /// installation id of an attempt that was interrupted.
    ///
    /// # Errors
    /// As for [`Enclave::examine`].
    pub fn rehearse(settings: &Settings, own: Option<KeyId>) -> Result<Diagnostics, OpenError> {
        diagnostics::rehearse(settings, own)
    }

    /// Locks the token for this process, logs in once, checks key-encryption key and canary, indexes and
    /// authenticates the records and starts the threads. Blocks.
    ///
    /// # Errors
    /// One variant of [`OpenError`] for each thing that can be wrong.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        Ok(Self { running: Arc::new(start::open(settings)?) })
    }

    /// Examines a slot for `doctor`: what the module claims, what the live probe found, the host's limits. Takes the
    /// token's lock and logs in once; changes nothing in the token.
    ///
    /// # Errors
    /// What keeps the token from being examined at all; everything else is a failed
    /// [`DiagnosticCheck`](crate::DiagnosticCheck).
    pub fn examine(settings: &Settings) -> Result<Diagnostics, OpenError> {
        diagnostics::examine(settings)
    }

    /// Makes a key, durably, and proves that it can be read back. Repeating it with the same values gives the same
    /// key, whatever became of the first attempt.
    ///
    /// # Errors
    /// After any error but [`EnclaveError::KeyExists`] the key was not reported and should be treated as missing.
    /// After [`EnclaveError::DeadlineExceeded`] it may still be made. Repeat by id, or destroy.
    pub async fn create(&self, key: NewKey, deadline: Instant) -> Result<PublicKey, EnclaveError> {
        self.check_admin()?;
        let command = |reply| AdminCommand::Create { key, deadline, reply };
        self.ask(&self.running.commands, command, deadline).await
    }

    /// `k·point` of the key's scalar.
    ///
    /// # Errors
    /// Any variant of [`EnclaveError`]; no product leaves with one.
    pub async fn scalar_mul(
        &self,
        id: KeyId,
        point: G1Point,
        deadline: Instant,
    ) -> Result<G1Point, EnclaveError> {
        let shared = &self.running.shared;
        let entry = shared.index.find(id)?;
        shared.check_connected()?;
        if shared.circuit_open.load(Ordering::Acquire) {
            return Err(state::unavailable(Some(Instant::now()), None));
        }
        let job = |reply| Job::Multiply(Multiply { entry, point, queued: Instant::now(), deadline, reply });
        self.ask(&self.running.jobs, job, deadline).await
    }

    /// The public key of a record, from the index of the records. None for an unreadable one.
    #[must_use]
    pub fn public_key(&self, id: KeyId) -> Option<PublicKey> {
        self.running.shared.index.describe(id).map(|entry| entry.public_key)
    }

    /// What the authenticated record of a key says: its owner, its public key, its time of creation.
    ///
    /// # Errors
    /// [`EnclaveError::UnknownKey`] where there is none, [`EnclaveError::KeyUnreadable`] where it does not open.
    pub fn key(&self, id: KeyId) -> Result<KeyEntry, EnclaveError> {
        Ok(self.running.shared.index.find(id)?.describe())
    }

    /// Every usable key, by id.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyEntry> {
        self.running.shared.index.list()
    }

    /// The key that authenticates the rows of the store. It works also while the token is away.
    #[must_use]
    pub fn store_key(&self) -> Arc<StoreKey> {
        Arc::clone(&self.running.store_key)
    }

    /// The public half of the key that signs the audit log's checkpoints.
    ///
    /// # Errors
    /// [`EnclaveError::TokenUnavailable`] while the token is away.
    pub fn checkpoint_key(&self) -> Result<CheckpointKey, EnclaveError> {
        Ok(self.running.shared.connection(Instant::now())?.checkpoint_signer.public())
    }

    /// Signs the text of a checkpoint. Blocks; not for async threads.
    ///
    /// # Errors
    /// As for every operation; the checkpoint can be made later.
    pub fn sign_checkpoint(&self, text: &[u8], deadline: Instant) -> Result<Vec<u8>, EnclaveError> {
        self.check_admin()?;
        let (reply, answer) = bounded(1);
        let command = AdminCommand::Sign { text: text.to_vec(), deadline, reply };
        enqueue(&self.running.commands, command)?;
        answer.recv_deadline(deadline).unwrap_or(Err(EnclaveError::DeadlineExceeded))
    }

    /// What was left in the token by [`replace_audit_anchor`](Self::replace_audit_anchor): normally one value, two after a
    /// crash during the replacement, none in a token that never had one. Blocks; not for async threads.
    ///
    /// # Errors
    /// As for every operation.
    pub fn audit_anchors(&self, deadline: Instant) -> Result<Vec<Vec<u8>>, EnclaveError> {
        self.anchor(AnchorCommand::Read, deadline)
    }

    /// Stores 1 to 1024 public bytes in a data object of the token: the new object is made and read back before
    /// the old one is destroyed. Blocks; not for async threads.
    ///
    /// # Errors
    /// As for every operation; the old value may then be there, or both.
    pub fn replace_audit_anchor(&self, anchor: Vec<u8>, deadline: Instant) -> Result<(), EnclaveError> {
        if anchor.is_empty() || anchor.len() > ANCHOR_MAX {
            return Err(EnclaveError::Internal("an anchor has 1 to 1024 bytes".into()));
        }
        self.anchor(AnchorCommand::Replace(anchor), deadline).map(drop)
    }

    /// Whether the token keeps an anchor at all: one without data objects cannot.
    #[must_use]
    pub fn keeps_anchors(&self) -> bool {
        self.running.keeps_anchors
    }

    fn anchor(&self, command: AnchorCommand, deadline: Instant) -> Result<Vec<Vec<u8>>, EnclaveError> {
        self.check_admin()?;
        let (reply, answer) = bounded(1);
        let command = AdminCommand::Anchor { command, deadline, reply };
        enqueue(&self.running.commands, command)?;
        answer.recv_deadline(deadline + GRACE).unwrap_or(Err(EnclaveError::DeadlineExceeded))
    }

    /// Destroys the record of a key and proves that it is gone. Cannot be undone. Also for unreadable records.
    ///
    /// # Errors
    /// [`EnclaveError::UnknownKey`] where there is none (also when repeated).
    pub async fn destroy(&self, id: KeyId, deadline: Instant) -> Result<(), EnclaveError> {
        self.check_admin()?;
        let command = |reply| AdminCommand::Destroy { id, deadline, reply };
        self.ask(&self.running.commands, command, deadline).await
    }

    /// Refuses at once while a call of the administration thread hangs.
    fn check_admin(&self) -> Result<(), EnclaveError> {
        self.running.shared.check_connected()?;
        match self.running.shared.admin.is_stuck() {
            true => Err(state::unavailable(Some(Instant::now()), None)),
            false => Ok(()),
        }
    }

    /// Puts work into a queue and waits for its answer, until the deadline at the latest, whatever the token does.
    async fn ask<T, R>(
        &self,
        queue: &Sender<T>,
        work: impl FnOnce(oneshot::Sender<Result<R, EnclaveError>>) -> T,
        deadline: Instant,
    ) -> Result<R, EnclaveError> {
        if self.running.shared.is_closing() {
            return Err(EnclaveError::ShuttingDown);
        }
        let (reply, answer) = oneshot::channel();
        enqueue(queue, work(reply))?;
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(Ok(answer)) => answer,
            // The thread dropped the command: it has ended, or the caller had stopped waiting.
            Ok(Err(_)) if self.running.shared.is_closing() => Err(EnclaveError::ShuttingDown),
            Ok(Err(_)) => Err(EnclaveError::Internal("a command was dropped".into())),
            Err(_) => Err(EnclaveError::DeadlineExceeded),
        }
    }

    /// A snapshot of token, queue, workers and findings.
    #[must_use]
    pub fn health(&self) -> Health {
        let shared = &self.running.shared;
        let (token, logged_in) = match shared.status() {
            Status::Ready(_) => (TokenState::Ready, true),
            Status::Recovering { cause, .. } => (TokenState::Recovering { cause }, false),
            Status::Stopped { cause } => (TokenState::Stopped { cause }, false),
        };
        let (stuck_workers, workers) = shared.heartbeats(|heartbeats| {
            let lost = heartbeats.iter().filter(|heartbeat| heartbeat.is_stuck()).count();
            (lost, heartbeats.len() - lost)
        });
        let canary = *shared.canary.lock().unwrap_or_else(PoisonError::into_inner);
        Health {
            token,
            logged_in,
            canary: canary.map(|(passed, at)| CanaryReport { passed, age: at.elapsed() }),
            queue_depth: self.running.jobs.len(),
            workers,
            stuck_workers,
            stalled: shared.is_stalled(),
            secret_memory: shared.secret_memory,
            keys: shared.index.count(),
            findings: Findings { unreadable: shared.index.unreadable(), ..shared.findings.clone() },
            recoveries: shared.recoveries.load(Ordering::Relaxed),
        }
    }

    /// Finishes what is queued, logs out and finalizes the module. Other clones answer `ShuttingDown` from then on.
    pub fn close(self) {
        self.running.shut_down();
    }
}

/// Puts work into a queue without waiting for a free place.
fn enqueue<T>(queue: &Sender<T>, work: T) -> Result<(), EnclaveError> {
    queue.try_send(work).map_err(|refused| match refused {
        TrySendError::Full(_) => EnclaveError::Overloaded,
        TrySendError::Disconnected(_) => EnclaveError::ShuttingDown,
    })
}

#[cfg(test)]
mod tests;
