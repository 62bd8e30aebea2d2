//! Sealing and opening by the scheme that the record names.

use cryptoki::object::ObjectHandle;

use super::record::{Header, WrappedKey};
use super::scalar::UnwrappedScalar;
use super::scheme::{PLAIN_LEN, Scheme, SealError, UnwrapError};
use super::{derived, gcm, key_wrap, oaep};
use crate::arena::Slot;
use crate::pkcs11::Session;

/// Seals a scalar under `kek` as a record with this header, by the header's scheme. The scalar stays in its slot.
pub(crate) fn seal(
    session: &Session,
    kek: ObjectHandle,
    header: Header,
    scalar: &mut UnwrappedScalar<'_>,
) -> Result<WrappedKey, SealError> {
    match header.scheme {
        Scheme::S1(policy) => gcm::seal(session, kek, header, policy, scalar.plain()),
        Scheme::S2(mechanism) => key_wrap::seal(session, kek, header, mechanism, scalar.slot()),
        Scheme::S5(hash) => oaep::seal(session, kek, header, hash, scalar.slot()),
        Scheme::S6 => derived::seal(session, kek, header, scalar.slot()),
    }
}

/// As [`seal`], of a plaintext that everyone may know: the canary's and the probe's.
pub(crate) fn seal_known(
    session: &Session,
    kek: ObjectHandle,
    header: Header,
    plain: &[u8; PLAIN_LEN],
    slot: &mut Slot,
) -> Result<WrappedKey, SealError> {
    let mut known = UnwrappedScalar::guard(slot);
    known.page().iter_mut().zip(plain).for_each(|(place, byte)| *place = *byte);
    seal(session, kek, header, &mut known)
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
        Scheme::S2(mechanism) => key_wrap::open(session, kek, record, mechanism, unwrapped.slot())?,
        Scheme::S5(hash) => oaep::open(session, kek, record, hash, unwrapped.slot())?,
        Scheme::S6 => derived::open(session, kek, record, unwrapped.slot()).map(|()| PLAIN_LEN)?,
    };
    if length != PLAIN_LEN {
        return Err(UnwrapError::Length(length));
    }
    Ok(unwrapped)
}
