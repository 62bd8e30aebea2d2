//! The thread that watches over the token: canary on a timer, and the only one that recovers it. Not for operations.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use cryptoki::error::RvError;

use super::recovery_request::{RecoveryAction, SupervisorEvent};
use super::state::{Shared, Status};
use crate::arena::{self, Arena};
use crate::error::OpenError;
use crate::keys::retest::Retest;
use crate::pkcs11::{Cause, Function, ReturnCode, TokenError};
use crate::settings::{PreparedKeys, TokenSelector};
use crate::telemetry;
use crate::token::connection::{LoggedInToken, TokenConnection};
use crate::token::lease::Standing;
use crate::token::login::Credential;

/// Pauses between two tries to get the token back.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A token without data objects has no leases to look at.
const NO_LEASE: Duration = Duration::from_secs(3600);
/// While stopped, only the end of the enclave is awaited.
const STOPPED_PAUSE: Duration = Duration::from_secs(3600);

/// The thread and what it owns.
pub(crate) struct Supervisor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) arena: Arena,
    pub(crate) selector: TokenSelector,
    pub(crate) prepared: PreparedKeys,
    pub(crate) credential: Credential,
    pub(crate) interval: Duration,
    pub(crate) retest: Retest,
}

impl Supervisor {
    /// Runs until told to leave.
    pub(crate) fn run(mut self, inbox: &Receiver<SupervisorEvent>) {
        arena::block_signals();
        let mut next_canary = Instant::now() + self.interval;
        let mut next_look = self.next_look();
        let mut pause = FIRST_PAUSE;
        loop {
            let due = match self.shared.status() {
                Status::Ready(_) => next_canary.min(next_look),
                Status::Recovering { next_try, .. } => next_try,
                Status::Stopped { .. } => Instant::now() + STOPPED_PAUSE,
            };
            let action = match inbox.recv_deadline(due) {
                Ok(SupervisorEvent::Leave) | Err(RecvTimeoutError::Disconnected) => return self.leave(),
                Ok(SupervisorEvent::Recover(request)) => Some((request.epoch, request.action)),
                Ok(SupervisorEvent::Look) => {
                    next_look = Instant::now();
                    None
                }
                Err(RecvTimeoutError::Timeout) => None,
            };
            self.shared.supervisor.begin();
            match (self.shared.status(), action) {
                (Status::Stopped { .. }, _) => {}
                (Status::Ready(connection), None) if next_look <= Instant::now() => {
                    if let Err(cause) = self.look(&connection) {
                        self.recover(&connection, RecoveryAction::Reinitialise, &cause, &mut pause);
                    }
                    next_look = self.next_look();
                }
                (Status::Ready(connection), None) => {
                    let checked = self.check(&connection);
                    // From its end: a token that takes one call after the other has time for signatures between.
                    next_canary = Instant::now() + self.interval;
                    match checked {
                        Ok(()) => self.retest.run(&self.shared.index, &connection, &mut self.arena),
                        Err(cause) => {
                            self.recover(&connection, RecoveryAction::Reinitialise, &cause, &mut pause);
                        }
                    }
                }
                // Answered already: the connection is a newer one than the request's.
                (Status::Ready(_), Some(_)) => {}
                (Status::Recovering { last, cause, .. }, action) => {
                    let action = action.filter(|(epoch, _)| *epoch == last.epoch);
                    let action = action.map_or(RecoveryAction::Reinitialise, |(_, action)| action);
                    self.recover(&last, action, &cause, &mut pause);
                    next_canary = Instant::now() + self.interval;
                }
            }
            self.shared.supervisor.end();
        }
    }

    /// From now, as for the canary.
    fn next_look(&self) -> Instant {
        Instant::now() + self.shared.lease.as_ref().map_or(NO_LEASE, |lease| lease.interval)
    }

    /// Looks whether this process still has the token's lease, and stops the enclave if not. A token in trouble shows no
    /// objects: the canary must be good, and the lease be gone at a second look.
    fn look(&mut self, connection: &TokenConnection) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        let Some(lease) = &shared.lease else { return Ok(()) };
        for is_second in [false, true] {
            let looked = connection.session().and_then(|session| lease.look(&session, connection.epoch));
            match looked {
                Ok(Standing::Held) => return Ok(()),
                Ok(Standing::Lost(why)) if is_second => {
                    self.stop(why);
                    return Ok(());
                }
                Ok(Standing::Lost(_)) => self.check(connection)?,
                Err(error) if lease.is_fresh() => {
                    tracing::debug!(%error, "the leases were not read");
                    return Ok(());
                }
                Err(_) => return self.check(connection),
            }
        }
        Ok(())
    }

    /// The last thing that this enclave does with the token.
    fn leave(&self) {
        if let (Some(lease), Status::Ready(connection)) = (&self.shared.lease, self.shared.status())
            && let Err(error) = connection.session().and_then(|session| lease.release(&session))
        {
            tracing::debug!(%error, "the lease was left in the token");
        }
    }

    fn check(&mut self, connection: &TokenConnection) -> Result<(), String> {
        let begun = Instant::now();
        let slot = self.arena.parts().0;
        let checked = connection
            .session()
            .map_err(Into::into)
            .and_then(|session| connection.check_canary(&session, slot));
        self.shared.note_canary(checked.is_ok());
        telemetry::canary(checked.is_ok(), begun);
        checked.map_err(|error| {
            tracing::warn!(%error, "the canary failed");
            error.to_string()
        })
    }

    fn recover(
        &mut self,
        last: &Arc<TokenConnection>,
        action: RecoveryAction,
        cause: &str,
        pause: &mut Duration,
    ) {
        let begun = Instant::now();
        let recovering =
            |next_try| Status::Recovering { last: Arc::clone(last), cause: cause.to_owned(), next_try };
        self.shared.set_status(recovering(begun));
        if action == RecoveryAction::Stop {
            return self.stop(cause.to_owned());
        }
        match self.reconnect(last, action) {
            Ok(connection) => {
                let (epoch, took) = (connection.epoch, begun.elapsed());
                tracing::info!(epoch, seconds = took.as_secs_f64(), "the token is back");
                *pause = FIRST_PAUSE;
                self.shared.note_canary(true);
                self.shared.recoveries.fetch_add(1, Ordering::Relaxed);
                let connection = Arc::new(connection);
                self.shared.set_status(Status::Ready(Arc::clone(&connection)));
                self.retest.run(&self.shared.index, &connection, &mut self.arena);
            }
            Err(error) if may_pass(&error) => {
                let wait = jittered(*pause);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    retry_in_seconds = wait.as_secs_f64(),
                    "the token is not back yet"
                );
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                self.shared.note_canary(false);
                self.shared.set_status(recovering(Instant::now() + wait));
            }
            Err(error) => self.stop(error.to_string()),
        }
    }

    fn stop(&self, cause: String) {
        tracing::error!(cause, "the token is stopped; an operator must act and restart the service");
        self.shared.set_status(Status::Stopped { cause });
    }

    fn reconnect(
        &mut self,
        last: &TokenConnection,
        action: RecoveryAction,
    ) -> Result<TokenConnection, OpenError> {
        let (slot, _) = self.arena.parts();
        let (epoch, prepared) = (last.epoch + 1, &self.prepared);
        let same_place = |_: &_, _: &_| Ok(last.place.clone());
        if action == RecoveryAction::LogIn {
            let renewed = last
                .renew(&self.credential)
                .and_then(|login| login.connect(epoch, prepared, same_place, slot));
            match renewed {
                Ok(connection) => return Ok(connection),
                Err(error) if !may_pass(&error) => return Err(error),
                Err(error) => tracing::info!(%error, "logging in again was not enough"),
            }
        }
        last.disconnect();
        let serial = Some(last.info.serial.as_str());
        let login = LoggedInToken::new(&last.module, &self.selector, serial, &self.credential)?;
        login.connect(epoch, prepared, same_place, slot)
    }
}

/// Whether a recovery may try again. Only what concerns the PIN may not: a token in trouble says everything else.
fn may_pass(error: &OpenError) -> bool {
    match error {
        OpenError::WrongPin
        | OpenError::PinLocked
        | OpenError::PinFinalTry
        | OpenError::PinRefusedBefore { .. } => false,
        OpenError::Token(TokenError { function: Function::Login, cause }) => {
            *cause != Cause::Refused(ReturnCode(RvError::UserPinNotInitialized))
        }
        OpenError::ModuleMissing { .. }
        | OpenError::TokenNotFound { .. }
        | OpenError::TokenAmbiguous { .. }
        | OpenError::KekDuplicate { .. }
        | OpenError::KekAttributes { .. }
        | OpenError::PinFile { .. }
        | OpenError::AlreadyRunning { .. }
        | OpenError::TokenInUse { .. }
        | OpenError::TokenOfOtherInstallation { .. }
        | OpenError::LockFile { .. }
        | OpenError::KekMissing { .. }
        | OpenError::PreparedKekMissing { .. }
        | OpenError::AlreadyInitialised { .. }
        | OpenError::Unfinished { .. }
        | OpenError::LeftBehind { .. }
        | OpenError::CheckpointKey { .. }
        | OpenError::StoreKey { .. }
        | OpenError::CanaryMissing { .. }
        | OpenError::CanaryFailed { .. }
        | OpenError::RecordFormat
        | OpenError::TokenUnfit { .. }
        | OpenError::TooFewSessions { .. }
        | OpenError::SchemeRefused { .. }
        | OpenError::TwoPlaces
        | OpenError::LocationRefused(_)
        | OpenError::NoDataObjects { .. }
        | OpenError::Records(_)
        | OpenError::Memory(_)
        | OpenError::Token(_)
        | OpenError::Host { .. }
        | OpenError::Settings(_) => true,
    }
}

/// Between the whole pause and half of it, so that several services do not try at the same time.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte); // without it the pause is half
    pause / 2 + pause.mul_f64(f64::from(byte[0]) / 512.0)
}
