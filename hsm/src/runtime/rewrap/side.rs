//! The sides of a move: each a token with its login, and the settings that name what is in it. Not for what is moved.

use std::sync::{Arc, Mutex};

use crate::arena::{Arena, SecretMemoryPolicy};
use crate::error::OpenError;
use crate::keys::lock::TokenLock;
use crate::pkcs11::{Generation, Module, Session, TokenError, TokenInfo};
use crate::runtime::initialise::keys::sync_token;
use crate::settings::Settings;
use crate::token::connection::{LoggedInToken, TokenConnection, finalise};
use crate::token::place::Place;
use crate::wrap::Kek;

/// Both sides of a move; no other process uses them meanwhile.
pub(super) struct Sides {
    pub(super) old: Side,
    pub(super) new: Side,
    pub(super) memory: SecretMemoryPolicy,
    pub(super) _lock: TokenLock,
}

impl Drop for Sides {
    fn drop(&mut self) {
        finalise(&self.new.module);
        finalise(&self.old.module);
    }
}

/// One token and its settings.
pub(super) struct Side {
    pub(super) settings: Settings,
    pub(super) module: Arc<Module>,
    pub(super) generation: Generation,
    pub(super) info: TokenInfo,
    /// Kept open: closing the last session would log out.
    _holder: Mutex<Session>,
}

impl Side {
    pub(super) fn new(settings: &Settings, login: LoggedInToken) -> Self {
        let LoggedInToken { module, generation, info, holder } = login;
        Self { settings: settings.clone(), module, generation, info, _holder: Mutex::new(holder) }
    }

    /// A further session of the login.
    pub(super) fn session(&self) -> Result<Session, TokenError> {
        Session::open(&self.module, self.generation, self.info.slot)
    }

    /// A login of its own over the same login of the module.
    pub(super) fn login(&self) -> Result<LoggedInToken, TokenError> {
        let (module, generation, info) = (Arc::clone(&self.module), self.generation, self.info.clone());
        Ok(LoggedInToken { module, generation, info, holder: self.session()? })
    }

    /// The whole side, as a start opens it.
    pub(super) fn connect(&self, arena: &mut Arena) -> Result<TokenConnection, OpenError> {
        let place = |session: &_, kek: &Kek| Place::find(session, &self.settings, Some(kek.id));
        self.login()?.connect_within(1, &self.settings.prepared_keys, place, arena.parts().0)
    }

    /// Whether both are in one token.
    pub(super) fn is_in_token_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.module, &other.module) && self.info.slot == other.info.slot
    }

    /// What was made is on the disk afterwards.
    pub(super) fn sync(&self) -> Result<(), OpenError> {
        sync_token(&self.settings)
    }
}
