//! One thread's session and arena, and the loop that retries an operation and recovers in between. Not for what the
//! operation does.

use std::sync::Arc;
use std::time::Instant;

use super::recovery_request::RecoveryAction;
use super::state::{Shared, unavailable};
use crate::arena::Arena;
use crate::error::EnclaveError;
use crate::keys::entry::Entry;
use crate::pkcs11::{Session, TokenError};
use crate::token::attempt::{Attempt, AttemptError};
use crate::token::connection::TokenConnection;
use crate::token::recovery::{Canary, NextStep, decide};

/// One thread's session and arena.
pub(crate) struct SessionWorker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) arena: Arena,
    session: Option<(u64, Session)>,
}

impl SessionWorker {
    pub(crate) fn new(shared: Arc<Shared>, arena: Arena) -> Self {
        Self { shared, arena, session: None }
    }

    /// Runs `operation`, at most twice, with what the recovery table says in between.
    pub(crate) fn run_with_retry<R>(
        &mut self,
        deadline: Instant,
        subject: Option<&Entry>,
        mut operation: impl FnMut(Attempt<'_>) -> Result<R, AttemptError>,
    ) -> Result<R, EnclaveError> {
        let mut number = 1;
        loop {
            let connection = self.shared.connection(deadline)?;
            let kept = self.session.is_some();
            let trouble = match self.attempt(&connection, &mut operation) {
                Ok(result) => return Ok(result),
                Err(trouble) => trouble,
            };
            // This session is not used again: some modules leave a failed operation open for ever.
            self.session = None;
            match trouble {
                AttemptError::Final(error) => return Err(error),
                AttemptError::Fault if number > 1 => {
                    // A right scalar and a wrong product, twice: the key is out of service until an operator acts.
                    if let Some(entry) = subject {
                        self.shared.index.withdraw(entry);
                        tracing::error!(key = %entry.record.header.key, "a key was taken out of service");
                    }
                    return Err(EnclaveError::FaultDetected);
                }
                AttemptError::Fault => {}
                // The token closed it while it was idle: that says nothing of this operation, and is no attempt.
                AttemptError::Token(error) if kept && error.is_closed_session() => {
                    tracing::debug!(%error, "a session that was kept is gone; another is opened");
                    continue;
                }
                AttemptError::Token(error) => self.recover(&connection, error, number, deadline, subject)?,
            }
            if Instant::now() >= deadline {
                return Err(EnclaveError::DeadlineExceeded);
            }
            number += 1;
        }
    }

    fn attempt<R>(
        &mut self,
        connection: &TokenConnection,
        operation: &mut impl FnMut(Attempt<'_>) -> Result<R, AttemptError>,
    ) -> Result<R, AttemptError> {
        let session = match self.session.take() {
            Some((epoch, session)) if epoch == connection.epoch => session,
            _ => connection.session()?,
        };
        let (_, session) = self.session.insert((connection.epoch, session));
        operation(Attempt { session, connection, arena: &mut self.arena })
    }

    /// Ok: try once more. Err: answer this.
    fn recover(
        &mut self,
        connection: &TokenConnection,
        error: TokenError,
        number: u32,
        deadline: Instant,
        subject: Option<&Entry>,
    ) -> Result<(), EnclaveError> {
        let mut action = decide(error, Canary::NotChecked, number);
        if action == NextStep::CheckCanary {
            let canary = self.check_canary(connection);
            action = decide(error, canary, number);
        }
        let cause = error.advice().map(|advice| advice.cause);
        tracing::info!(%error, cause, attempt = number, action = action.as_str(), "a call of the token failed");
        let action = match action {
            NextStep::Retry => return Ok(()),
            NextStep::Refuse | NextStep::CheckCanary => return Err(refused(error)),
            NextStep::Full => return Err(EnclaveError::TokenFull { source: error }),
            NextStep::SuspectKey => {
                let Some(entry) = subject else { return Err(refused(error)) };
                self.shared.index.suspect(entry);
                tracing::error!(key = %entry.record.header.key, %error, "the record of a key cannot be read");
                return Err(EnclaveError::KeyUnreadable);
            }
            NextStep::LogIn => RecoveryAction::LogIn,
            NextStep::Reinitialise => RecoveryAction::Reinitialise,
            NextStep::Stop => RecoveryAction::Stop,
        };
        let recovered = self.shared.recover(connection.epoch, action, error, deadline);
        // After a second failure the recovery serves the other operations; this one is answered.
        if number > 1 { recovered.and(Err(refused(error))) } else { recovered }
    }

    fn check_canary(&mut self, connection: &TokenConnection) -> Canary {
        let (slot, _) = self.arena.parts();
        let asked = connection
            .session()
            .map_err(Into::into)
            .and_then(|session| connection.check_canary(&session, slot));
        match asked {
            Ok(()) => Canary::Good,
            Err(error) => {
                tracing::warn!(%error, "the canary failed");
                self.shared.note_canary(false);
                Canary::Bad
            }
        }
    }

    /// Closes the session, before the module is finalized.
    pub(crate) fn release(&mut self) {
        self.session = None;
    }
}

fn refused(error: TokenError) -> EnclaveError {
    unavailable(Some(Instant::now()), Some(error))
}
