//! One session: opened, logged in, used by one thread at a time, closed when dropped. Not for objects and ciphers.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

use cryptoki_sys::*;

use super::error::{Call, TokenError};
use super::module::{Generation, Library};
use crate::telemetry;

/// A session. `Send` but not `Sync`: three threads on one SoftHSM session crash it.
pub(crate) struct Session {
    pub(crate) library: Arc<Library>,
    pub(crate) generation: Generation,
    pub(crate) handle: CK_SESSION_HANDLE,
    _one_thread: PhantomData<Cell<()>>,
}

/// Whose PIN is presented.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    User,
    SecurityOfficer,
}

impl Session {
    /// A read/write session: creating objects needs one, and some modules have no other kind.
    pub(crate) fn open(
        library: &Arc<Library>,
        generation: Generation,
        slot: CK_SLOT_ID,
    ) -> Result<Self, TokenError> {
        let mut handle = 0;
        let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
        library.invoke(generation, Call::OpenSession, |list| {
            // SAFETY: no callback is given, `handle` outlives the call.
            Some(unsafe { list.C_OpenSession?(slot, flags, std::ptr::null_mut(), None, &raw mut handle) })
        })?;
        telemetry::sessions(true);
        Ok(Self { library: Arc::clone(library), generation, handle, _one_thread: PhantomData })
    }

    /// C_Login. The caller has looked at the token's flags: a module may count and lock.
    pub(crate) fn log_in(&self, role: Role, pin: &[u8]) -> Result<(), TokenError> {
        let user = match role {
            Role::User => CKU_USER,
            Role::SecurityOfficer => CKU_SO,
        };
        self.call(Call::Login, |list, session| {
            // SAFETY: the module only reads the PIN's bytes.
            Some(unsafe { list.C_Login?(session, user, pin.as_ptr().cast_mut(), pin.len() as CK_ULONG) })
        })
    }

    /// C_Logout: logs out every session of this process.
    pub(crate) fn log_out(&self) -> Result<(), TokenError> {
        // SAFETY: takes nothing but the handle.
        self.call(Call::Logout, |list, session| Some(unsafe { list.C_Logout?(session) }))
    }

    /// C_InitPIN, as security officer.
    pub(crate) fn init_pin(&self, pin: &[u8]) -> Result<(), TokenError> {
        self.call(Call::InitPin, |list, session| {
            // SAFETY: the module only reads the PIN's bytes.
            Some(unsafe { list.C_InitPIN?(session, pin.as_ptr().cast_mut(), pin.len() as CK_ULONG) })
        })
    }

    /// Whether the module still takes this session for one of a logged-in user.
    pub(crate) fn is_logged_in(&self) -> Result<bool, TokenError> {
        let mut info = CK_SESSION_INFO::default();
        self.call(Call::GetSessionInfo, |list, session| {
            // SAFETY: `info` outlives the call and has the standard's layout.
            Some(unsafe { list.C_GetSessionInfo?(session, &raw mut info) })
        })?;
        Ok(matches!(info.state, CKS_RO_USER_FUNCTIONS | CKS_RW_USER_FUNCTIONS))
    }

    pub(crate) fn call(
        &self,
        call: Call,
        body: impl FnOnce(&CK_FUNCTION_LIST, CK_SESSION_HANDLE) -> Option<CK_RV>,
    ) -> Result<(), TokenError> {
        self.library.invoke(self.generation, call, |list| body(list, self.handle))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        telemetry::sessions(false);
        // SAFETY: takes nothing but the handle; a stale one does not pass the gate.
        let closed = self.call(Call::CloseSession, |list, s| Some(unsafe { list.C_CloseSession?(s) }));
        if let Err(error) = closed {
            tracing::debug!(%error, "a session was gone before it was closed");
        }
    }
}
