//! Sealing and opening by the scheme that the record names.

use cryptoki::object::ObjectHandle;

use super::gcm;
use super::record::{Header, WrappedKey};
use super::scalar::UnwrappedScalar;
use super::scheme::{PLAIN_LEN, Scheme, SealError, UnwrapError};
use crate::arena::Slot;
use crate::pkcs11::Session;

/// Seals a scalar under `kek` as a record with this header, by the header's scheme.
pub(crate) fn seal(
    session: &Session,
    kek: ObjectHandle,
    header: Header,
    scalar: &UnwrappedScalar<'_>,
) -> Result<WrappedKey, SealError> {
    seal_known(session, kek, header, scalar.plain())
}

/// As [`seal`], of a plaintext that everyone may know: the canary's and the probe's.
pub(crate) fn seal_known(
    session: &Session,
    kek: ObjectHandle,
    header: Header,
    plain: &[u8; PLAIN_LEN],
) -> Result<WrappedKey, SealError> {
    match header.scheme {
        Scheme::S1(policy) => gcm::seal(session, kek, header, policy, plain),
    }
}

/// Opens a record straight into the slot, by the record's scheme. The slot is wiped before this returns an error.
pub(crate) fn open<'slot>(
    session: &Session,
    kek: ObjectHandle,
    record: &WrappedKey,
    slot: &'slot mut Slot,
) -> Result<UnwrappedScalar<'slot>, UnwrapError> {
    let mut unwrapped = UnwrappedScalar::guard(slot);
    let length = match record.header.scheme {
        Scheme::S1(policy) => gcm::open(session, kek, record, policy, unwrapped.page())?,
    };
    if length != PLAIN_LEN {
        return Err(UnwrapError::Length(length));
    }
    Ok(unwrapped)
}
