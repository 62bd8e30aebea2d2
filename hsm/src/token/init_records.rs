//! How `init` stores the records of the installation itself: signed where the scheme needs it. Not for records of keys.

use super::checkpoint_key::{CheckpointSigner, SigningWith};
use crate::arena::Arena;
use crate::error::OpenError;
use crate::key::InitIds;
use crate::pkcs11::{Session, TokenError};
use crate::records::Records;
use crate::wrap::{self, Kek, Scheme, SealError, UnwrapError, WrappedKey};

/// What they are sealed, signed and stored with.
pub(crate) struct InitRecords<'a> {
    pub(crate) session: &'a Session,
    /// Opens another session of the same login.
    pub(crate) another: &'a dyn Fn() -> Result<Session, TokenError>,
    pub(crate) records: &'a dyn Records,
    pub(crate) kek: &'a Kek,
    pub(crate) scheme: Scheme,
    pub(crate) ids: InitIds,
    pub(crate) signer: &'a CheckpointSigner,
}

impl InitRecords<'_> {
    /// Stores what was sealed; gives it as it was stored.
    pub(crate) fn store(
        &self,
        label: &str,
        sealed: Result<WrappedKey, SealError>,
        arena: &mut Arena,
    ) -> Result<WrappedKey, OpenError> {
        let record = sealed.map_err(|error| match error.into_token_error() {
            Ok(error) => OpenError::from(error),
            Err(error) => error.into(),
        })?;
        let Self { session, another, .. } = *self;
        let with = SigningWith { session, another, kek: self.kek.handle, arena };
        let record = self.signer.endorse(with, record).map_err(UnwrapError::as_token_error)?;
        wrap::store(self.records, label, &record)?;
        Ok(record)
    }
}
