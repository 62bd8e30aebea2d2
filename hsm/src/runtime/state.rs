//! State that all threads of the enclave share: the current connection, its status, and the supervisor's inbox.
//!
//! Recovery is single-flight: a thread reports a failure with the epoch that it saw and waits; the supervisor alone
//! recovers. Not for recovering.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bn254_ct::FaultCheck;
use crossbeam_channel::Sender;

use super::heartbeat::Heartbeat;
use super::recovery_request::{RecoveryAction, RecoveryRequest, SupervisorEvent};
use crate::arena::SecretMemory;
use crate::error::EnclaveError;
use crate::health::Findings;
use crate::keys::index::Index;
use crate::pkcs11::{Module, Session, TokenError};
use crate::settings::Settings;
use crate::token::attempt::AttemptError;
use crate::token::connection::TokenConnection;
use crate::token::lease::{Lease, Standing};

/// Whether operations can be served.
#[derive(Clone)]
pub(crate) enum Status {
    Ready(Arc<TokenConnection>),
    /// The supervisor is at work; the connection is the last one that worked.
    Recovering {
        last: Arc<TokenConnection>,
        cause: String,
        next_try: Instant,
    },
    /// Latched: nothing is tried until the process is started again.
    Stopped {
        cause: String,
    },
}

/// What the threads share.
pub(crate) struct Shared {
    pub(crate) index: Index,
    pub(crate) findings: Findings,
    pub(crate) fault_check: FaultCheck,
    /// Key of the digests by which workers recognise a scalar.
    pub(crate) digest_key: [u8; 32],
    pub(crate) module: Arc<Module>,
    pub(crate) secret_memory: SecretMemory,
    pub(crate) closing: AtomicBool,
    pub(crate) recoveries: AtomicU64,
    /// Every worker, also the stuck ones.
    pub(crate) workers: Mutex<Vec<Arc<Heartbeat>>>,
    /// The administration thread.
    pub(crate) admin: Heartbeat,
    /// The supervisor: canary, login, recovery.
    pub(crate) supervisor: Heartbeat,
    /// When a call of the token last succeeded.
    last_success: Mutex<Option<Instant>>,
    /// No worker is left that could take work.
    pub(crate) circuit_open: AtomicBool,
    /// Result of the last canary check and when it ended.
    pub(crate) canary: Mutex<Option<(bool, Instant)>>,
    pub(crate) inbox: Sender<SupervisorEvent>,
    /// None in a token without data objects, and in SoftHSM, whose directory is locked.
    pub(crate) lease: Option<Lease>,
    status: Mutex<Status>,
    changed: Condvar,
}

/// Longest time that a thread waits for the supervisor before it answers its caller.
const RECOVERY_WAIT: Duration = Duration::from_millis(500);

impl Shared {
    pub(crate) fn new(
        connection: Arc<TokenConnection>,
        (index, findings): (Index, Findings),
        settings: &Settings,
        digest_key: [u8; 32],
        secret_memory: SecretMemory,
        inbox: Sender<SupervisorEvent>,
        lease: Option<Lease>,
    ) -> Self {
        Self {
            index,
            findings,
            fault_check: settings.fault_check,
            digest_key,
            module: Arc::clone(&connection.module),
            secret_memory,
            closing: AtomicBool::new(false),
            recoveries: AtomicU64::new(0),
            workers: Mutex::default(),
            admin: Heartbeat::new(settings.stall_timeout),
            supervisor: Heartbeat::new(settings.stall_timeout),
            last_success: Mutex::default(),
            circuit_open: AtomicBool::new(false),
            canary: Mutex::new(Some((true, Instant::now()))),
            inbox,
            lease,
            status: Mutex::new(Status::Ready(connection)),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> Status {
        self.lock().clone()
    }

    pub(crate) fn set_status(&self, status: Status) {
        *self.lock() = status;
        self.changed.notify_all();
    }

    /// The connection to work on, or the answer to give while there is none. An attempt to recover that has just begun is
    /// waited for: a dropped login is renewed in milliseconds.
    pub(crate) fn connection(&self, deadline: Instant) -> Result<Arc<TokenConnection>, EnclaveError> {
        let mut status = self.lock();
        loop {
            match &*status {
                Status::Ready(connection) => return Ok(Arc::clone(connection)),
                Status::Stopped { .. } => return Err(unavailable(None, None)),
                Status::Recovering { next_try, .. } => {
                    let left = attempt_left(*next_try, deadline);
                    let Some(left) = left else { return Err(unavailable(Some(*next_try), None)) };
                    let waited = self.changed.wait_timeout(status, left);
                    status = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Whether [`connection`](Self::connection) may give one. Does not wait.
    pub(crate) fn check_connected(&self) -> Result<(), EnclaveError> {
        match &*self.lock() {
            Status::Ready(_) => Ok(()),
            Status::Stopped { .. } => Err(unavailable(None, None)),
            Status::Recovering { next_try, .. } => {
                let left = attempt_left(*next_try, Instant::now() + RECOVERY_WAIT);
                left.map(drop).ok_or_else(|| unavailable(Some(*next_try), None))
            }
        }
    }

    /// Reports a failure of `epoch` and waits a short time until the supervisor has recovered the token.
    pub(crate) fn recover(
        &self,
        epoch: u64,
        action: RecoveryAction,
        error: TokenError,
        deadline: Instant,
    ) -> Result<(), EnclaveError> {
        let mut status = self.lock();
        if let Status::Ready(connection) = &*status
            && connection.epoch == epoch
        {
            // Set here, so that no other thread begins work on a connection that is known to be broken.
            let (last, next_try) = (Arc::clone(connection), Instant::now());
            *status = Status::Recovering { last, cause: error.to_string(), next_try };
            let cure = error.advice().map(|advice| advice.cure);
            tracing::warn!(%error, cure, epoch, action = action.as_str(), "the token failed; recovering");
            // The inbox is unbounded and this is the only request of the epoch.
            let _ = self.inbox.send(SupervisorEvent::Recover(RecoveryRequest { epoch, action }));
        }
        let until = deadline.min(Instant::now() + RECOVERY_WAIT);
        loop {
            match &*status {
                Status::Ready(_) => return Ok(()),
                Status::Stopped { .. } => return Err(unavailable(None, Some(error))),
                Status::Recovering { next_try, .. } => {
                    let Some(left) = until.checked_duration_since(Instant::now()) else {
                        return Err(unavailable(Some(*next_try), Some(error)));
                    };
                    let waited = self.changed.wait_timeout(status, left);
                    status = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Whether this process may sign a checkpoint: it held the token a moment ago, or does now.
    pub(crate) fn check_lease(
        &self,
        session: &Session,
        connection: &TokenConnection,
    ) -> Result<(), AttemptError> {
        let Some(lease) = self.lease.as_ref().filter(|lease| !lease.is_fresh()) else { return Ok(()) };
        match lease.look(session, connection.epoch)? {
            Standing::Held => Ok(()),
            Standing::Lost(_) => {
                // The supervisor looks once more, and stops the enclave.
                let _ = self.inbox.send(SupervisorEvent::Look);
                Err(unavailable(Some(Instant::now()), None).into())
            }
        }
    }

    /// Works on the list of workers.
    pub(crate) fn heartbeats<R>(&self, with: impl FnOnce(&mut Vec<Arc<Heartbeat>>) -> R) -> R {
        with(&mut self.workers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A call of the token succeeded just now.
    pub(crate) fn note_success(&self) {
        *self.last_success.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a call is out for longer than the stall timeout, and none has succeeded since it began.
    pub(crate) fn is_stalled(&self) -> bool {
        let workers = self.heartbeats(|all| all.iter().filter_map(|one| one.stuck_since()).min());
        let others = [self.admin.stuck_since(), self.supervisor.stuck_since()];
        let oldest = workers.into_iter().chain(others.into_iter().flatten()).min();
        let succeeded = *self.last_success.lock().unwrap_or_else(PoisonError::into_inner);
        // The heartbeat counts whole milliseconds.
        oldest.is_some_and(|began| {
            succeeded.is_none_or(|succeeded| succeeded <= began + Duration::from_millis(1))
        })
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn note_canary(&self, passed: bool) {
        *self.canary.lock().unwrap_or_else(PoisonError::into_inner) = Some((passed, Instant::now()));
        if passed {
            self.note_success();
        }
    }
}

/// How long to wait for the attempt to recover that began then; none while the supervisor pauses, or where the attempt
/// hangs.
fn attempt_left(began: Instant, deadline: Instant) -> Option<Duration> {
    let now = Instant::now();
    deadline.min(began + RECOVERY_WAIT).checked_duration_since(now).filter(|_| began <= now)
}

/// The answer while the token is away. A stopped enclave asks callers to wait long: only an operator can help.
pub(crate) fn unavailable(next_try: Option<Instant>, source: Option<TokenError>) -> EnclaveError {
    let wait = next_try.map(|at| at.saturating_duration_since(Instant::now()));
    let retry_after = wait.map_or(Duration::from_secs(60), |wait| wait.max(Duration::from_millis(100)));
    EnclaveError::TokenUnavailable { retry_after, source }
}
