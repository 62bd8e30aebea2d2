//! One thread's place: its session, its arena, and the loop that carries an operation through trouble. Not for what the
//! operation does.

use std::sync::Arc;
use std::time::Instant;

use super::recovery_request::Remedy;
use super::state::{Shared, unavailable};
use crate::arena::Arena;
use crate::error::EnclaveError;
use crate::keys::index::Entry;
use crate::pkcs11::{Session, TokenError};
use crate::token::attempt::{Attempt, Trouble};
use crate::token::connection::Link;
use crate::token::recovery::{Action, Canary, decide};

/// See the module.
pub(crate) struct Desk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) arena: Arena,
    session: Option<(u64, Session)>,
}

impl Desk {
    pub(crate) fn new(shared: Arc<Shared>, arena: Arena) -> Self {
        Self { shared, arena, session: None }
    }

    /// Runs `operation`, at most twice, with what the table of actions says in between.
    pub(crate) fn carry_out<R>(
        &mut self,
        deadline: Instant,
        subject: Option<&Entry>,
        mut operation: impl FnMut(Attempt<'_>) -> Result<R, Trouble>,
    ) -> Result<R, EnclaveError> {
        let mut number = 1;
        loop {
            let link = self.shared.link()?;
            let trouble = match self.attempt(&link, &mut operation) {
                Ok(result) => return Ok(result),
                Err(trouble) => trouble,
            };
            // Whatever happened, this session is not used again: some modules leave the operation open for ever.
            self.session = None;
            match trouble {
                Trouble::Final(error) => return Err(error),
                Trouble::Fault if number > 1 => {
                    // A right scalar and a wrong product, twice: the key rests until somebody has looked.
                    if let Some(entry) = subject {
                        entry.set_damaged();
                        tracing::error!(key = %entry.record.header.key, "a key was taken out of service");
                    }
                    return Err(EnclaveError::FaultDetected);
                }
                Trouble::Fault => {}
                Trouble::Token(error) => self.mend(&link, error, number, deadline, subject)?,
            }
            if Instant::now() >= deadline {
                return Err(EnclaveError::DeadlineExceeded);
            }
            number += 1;
        }
    }

    fn attempt<R>(
        &mut self,
        link: &Link,
        operation: &mut impl FnMut(Attempt<'_>) -> Result<R, Trouble>,
    ) -> Result<R, Trouble> {
        let session = match self.session.take() {
            Some((epoch, session)) if epoch == link.epoch => session,
            _ => link.session()?,
        };
        let (_, session) = self.session.insert((link.epoch, session));
        operation(Attempt { session, link, arena: &mut self.arena })
    }

    /// Ok: try once more. Err: answer this.
    fn mend(
        &mut self,
        link: &Link,
        error: TokenError,
        number: u32,
        deadline: Instant,
        subject: Option<&Entry>,
    ) -> Result<(), EnclaveError> {
        let mut action = decide(error, Canary::NotAsked, number);
        if action == Action::AskCanary {
            let canary = self.ask_canary(link);
            action = decide(error, canary, number);
        }
        tracing::info!(%error, attempt = number, ?action, "a call of the token failed");
        let remedy = match action {
            Action::Retry => return Ok(()),
            Action::Refuse | Action::AskCanary => return Err(refused(error)),
            Action::KeyCorrupt => {
                let Some(entry) = subject else { return Err(refused(error)) };
                entry.set_damaged();
                tracing::error!(key = %entry.record.header.key, %error, "the record of a key is damaged");
                return Err(EnclaveError::KeyDamaged);
            }
            Action::LogIn => Remedy::LogIn,
            Action::Reinitialise => Remedy::Reinitialise,
            Action::Stop => Remedy::Stop,
        };
        let mended = self.shared.recover(link.epoch, remedy, error, deadline);
        // After a second failure the token is mended for the others; this operation is answered.
        if number > 1 { mended.and(Err(refused(error))) } else { mended }
    }

    fn ask_canary(&mut self, link: &Link) -> Canary {
        let (slot, _) = self.arena.parts();
        let asked = link.session().map_err(Into::into).and_then(|session| link.check_canary(&session, slot));
        match asked {
            Ok(()) => Canary::Good,
            Err(error) => {
                tracing::warn!(%error, "the canary failed");
                self.shared.note_canary(false);
                Canary::Bad
            }
        }
    }

    /// Lets go of the session, before the module is finalized.
    pub(crate) fn leave(&mut self) {
        self.session = None;
    }
}

fn refused(error: TokenError) -> EnclaveError {
    unavailable(Some(Instant::now()), Some(error))
}
