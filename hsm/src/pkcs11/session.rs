//! One session: opened, logged in, used by one thread at a time, closed when dropped. Not for objects and ciphers.

use std::sync::Arc;

use cryptoki::error::Error;
use cryptoki::session::SessionState;
use cryptoki::slot::Slot;

use super::error::{Cause, Function, TokenError};
use super::kinds::Role;
use super::module::{Generation, Module};
use super::secret::SecretFunctions;
use crate::telemetry;

/// A read-write session. `Send` but not `Sync`: three threads on one SoftHSM session crash it.
pub(crate) struct Session {
    module: Arc<Module>,
    generation: Generation,
    /// Opened without `cryptoki`'s close-on-drop, which would close a number that a later initialisation may have
    /// given to another session.
    session: Option<cryptoki::session::Session>,
}

impl Session {
    /// A read-write session: creating objects needs one, and some modules have no other kind.
    pub(crate) fn open(module: &Arc<Module>, generation: Generation, slot: Slot) -> Result<Self, TokenError> {
        let session =
            module.call(generation, Function::OpenSession, |pkcs11| pkcs11.open_rw_session_no_drop(slot))?;
        telemetry::sessions(true);
        Ok(Self { module: Arc::clone(module), generation, session: Some(session) })
    }

    /// C_Login. The caller has looked at the token's flags: a module may count and lock.
    pub(crate) fn log_in(&self, role: Role, pin: &[u8]) -> Result<(), TokenError> {
        self.secret(Function::Login, |list, session| list.login(session, role, pin))
    }

    /// C_InitPIN, as security officer.
    pub(crate) fn init_pin(&self, pin: &[u8]) -> Result<(), TokenError> {
        self.secret(Function::InitPIN, |list, session| list.init_pin(session, pin))
    }

    /// C_Logout: logs out every session of this process.
    pub(crate) fn log_out(&self) -> Result<(), TokenError> {
        self.call(Function::Logout, cryptoki::session::Session::logout)
    }

    /// Whether the module still takes this session for one of a logged-in user.
    pub(crate) fn is_logged_in(&self) -> Result<bool, TokenError> {
        let info = self.call(Function::GetSessionInfo, cryptoki::session::Session::get_session_info)?;
        Ok(matches!(info.session_state(), SessionState::RoUser | SessionState::RwUser))
    }

    /// Runs a call of `cryptoki` on this session, unless the module was re-initialised since.
    pub(super) fn call<R>(
        &self,
        function: Function,
        body: impl FnOnce(&cryptoki::session::Session) -> Result<R, Error>,
    ) -> Result<R, TokenError> {
        let session = self.session(function)?;
        self.module.call(self.generation, function, |_| body(session))
    }

    /// Runs a function that carries a secret on this session, unless the module was re-initialised since.
    pub(super) fn secret<R>(
        &self,
        function: Function,
        body: impl FnOnce(&SecretFunctions, u64) -> Result<R, TokenError>,
    ) -> Result<R, TokenError> {
        let session = self.session(function)?.handle();
        self.module.guarded(self.generation, function, || body(&self.module.secret, session))
    }

    /// Gone only while it is dropped.
    fn session(&self, function: Function) -> Result<&cryptoki::session::Session, TokenError> {
        self.session.as_ref().ok_or(TokenError { function, cause: Cause::Stale })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        telemetry::sessions(false);
        let Some(session) = self.session.take() else { return };
        // A stale session is not closed: its number is not this session's any more.
        let closed = self.module.call(self.generation, Function::CloseSession, |_| session.close());
        if let Err(error) = closed {
            tracing::debug!(%error, "a session was gone before it was closed");
        }
    }
}
