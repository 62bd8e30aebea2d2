//! A move whose new side is complete: what the caller signs with either checkpoint key to make it final. Not for copying.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::carry::keys;
use super::error::RewrapError;
use super::side::Sides;
use crate::arena::Arena;
use crate::error::OpenError;
use crate::pkcs11::TokenError;
use crate::token::anchor;
use crate::token::checkpoint_key::{CheckpointKey, SigningWith};
use crate::token::connection::TokenConnection;
use crate::wrap::{self, Header};

/// Which side of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewrapSide {
    /// Where the keys come from.
    Old,
    /// Where they go.
    New,
}

/// What one side is, for the audit log and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrapReport {
    /// Label of the token.
    pub token_label: String,
    /// Serial number of the token.
    pub token_serial: String,
    /// What records name of the key-encryption key, 32 hex digits.
    pub kek_id: String,
    /// The wrapping scheme of its records, for example `S1`.
    pub scheme: &'static str,
    /// Its variant.
    pub variant: &'static str,
    /// Where the wrapped records are: `token` or `store`.
    pub location: &'static str,
    /// What the checkpoint key is, and where.
    pub checkpoint_key: &'static str,
}

/// Both sides, complete and compared.
pub struct Copied {
    // Before the sides: they finalise the modules.
    old: TokenConnection,
    new: TokenConnection,
    arena: Mutex<Arena>,
    moved: usize,
    sides: Sides,
}

impl Copied {
    /// Compares both sides as a start would find them: the same keys, with the same descriptions.
    pub(super) fn compared(
        sides: Sides,
        (old, new): (TokenConnection, TokenConnection),
        moved: usize,
        mut arena: Arena,
    ) -> Result<Self, RewrapError> {
        let (before, after) = (keys(&old, &mut arena)?, keys(&new, &mut arena)?);
        let (kek, scheme) = (new.kek.id, new.scheme);
        let expected = before.iter().map(|entry| Header { kek, scheme, ..entry.record.header });
        if !expected.eq(after.iter().map(|entry| entry.record.header)) {
            let problem =
                "the new side does not hold the keys of the old one after all were moved; nothing is final";
            return Err(RewrapError::Refused(problem.to_owned()));
        }
        Ok(Self { old, new, arena: Mutex::new(arena), moved, sides })
    }

    fn side(&self, side: RewrapSide) -> &TokenConnection {
        match side {
            RewrapSide::Old => &self.old,
            RewrapSide::New => &self.new,
        }
    }

    /// How many keys were moved.
    #[must_use]
    pub const fn keys(&self) -> usize {
        self.moved
    }

    /// What a side is.
    #[must_use]
    pub fn report(&self, side: RewrapSide) -> RewrapReport {
        let TokenConnection { info, kek, scheme, place, checkpoint_signer, .. } = self.side(side);
        RewrapReport {
            token_label: info.label.clone(),
            token_serial: info.serial.clone(),
            kek_id: hex::encode(kek.id),
            scheme: scheme.name(),
            variant: scheme.variant(),
            location: place.name(),
            checkpoint_key: checkpoint_signer.describe(),
        }
    }

    /// The public half of a side's checkpoint key.
    #[must_use]
    pub fn checkpoint_key(&self, side: RewrapSide) -> CheckpointKey {
        self.side(side).checkpoint_signer.public()
    }

    /// Signs a text with a side's checkpoint key.
    ///
    /// # Errors
    /// When the token does not sign.
    pub fn sign(&self, side: RewrapSide, text: &[u8]) -> Result<Vec<u8>, TokenError> {
        let connection = self.side(side);
        let (session, another) = (connection.session()?, || connection.session());
        let mut arena = self.arena.lock().unwrap_or_else(PoisonError::into_inner);
        let kek = connection.kek.handle;
        let with = SigningWith { session: &session, another: &another, kek, arena: &mut arena };
        connection.checkpoint_signer.sign(with, text).map_err(wrap::UnwrapError::as_token_error)
    }

    /// Stores the audit log's anchor on the new side, durably, in the place of any that is there. A token that keeps none
    /// gets none.
    ///
    /// # Errors
    /// When the token refuses a call, or the disk does.
    pub fn keep_anchor(&self, anchor: &[u8]) -> Result<(), OpenError> {
        let (side, session) = (&self.sides.new, self.new.session()?);
        if !self.new.place.keeps_anchors(&session)? {
            return Ok(());
        }
        anchor::replace(&session, &self.new.place.template, anchor, &|| side.sync())
    }
}

impl fmt::Debug for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copied").finish_non_exhaustive()
    }
}
