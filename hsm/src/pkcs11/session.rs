//! One session: opened, logged in, used by one thread at a time, closed when dropped. Not for objects and ciphers.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

use cryptoki::session::SessionState;
use cryptoki::slot::Slot;

use super::error::{Function, TokenError};
use super::kinds::Role;
use super::library::Library;
use super::module::{Generation, Module};
use crate::telemetry;

/// A read-write session. `Send` but not `Sync`: three threads on one SoftHSM session crash it.
pub(crate) struct Session {
    module: Arc<Module>,
    generation: Generation,
    /// Its number. A later initialisation may give it to another session.
    handle: u64,
    not_sync: PhantomData<Cell<()>>,
}

impl Session {
    /// A read-write session: creating objects needs one, and some modules have no other kind.
    pub(crate) fn open(module: &Arc<Module>, generation: Generation, slot: Slot) -> Result<Self, TokenError> {
        let handle = module.call(generation, Function::OpenSession, |library| library.open_session(slot))?;
        telemetry::sessions(true);
        Ok(Self { module: Arc::clone(module), generation, handle, not_sync: PhantomData })
    }

    /// C_Login. The caller has looked at the token's flags: a module may count and lock.
    pub(crate) fn log_in(&self, role: Role, pin: &[u8]) -> Result<(), TokenError> {
        self.call(Function::Login, |library, session| library.login(session, role, pin))
    }

    /// C_InitPIN, as security officer.
    pub(crate) fn init_pin(&self, pin: &[u8]) -> Result<(), TokenError> {
        self.call(Function::InitPIN, |library, session| library.init_pin(session, pin))
    }

    /// C_Logout: logs out every session of this process.
    pub(crate) fn log_out(&self) -> Result<(), TokenError> {
        self.call(Function::Logout, Library::logout)
    }

    /// Whether the module still takes this session for one of a logged-in user.
    pub(crate) fn is_logged_in(&self) -> Result<bool, TokenError> {
        let state = self.call(Function::GetSessionInfo, Library::session_state)?;
        Ok(matches!(state, SessionState::RoUser | SessionState::RwUser))
    }

    /// Calls the module with this session, unless it was re-initialised since.
    pub(super) fn call<R>(
        &self,
        function: Function,
        body: impl FnOnce(&Library, u64) -> Result<R, TokenError>,
    ) -> Result<R, TokenError> {
        self.module.call(self.generation, function, |library| body(library, self.handle))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        telemetry::sessions(false);
        // A stale session is not closed: its number is not this session's any more.
        if let Err(error) = self.call(Function::CloseSession, Library::close_session) {
            tracing::debug!(%error, "a session was gone before it was closed");
        }
    }
}
