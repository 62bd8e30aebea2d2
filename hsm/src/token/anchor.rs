//! What the token remembers of the audit log: a few public bytes in a data object, so that a disk that was rolled back
//! is noticed. What they mean is the service's affair. Worthless in SoftHSM, whose objects lie on the same disk.

use cryptoki_sys::*;

use crate::labels::{ANCHOR_LABEL, APPLICATION};
use crate::pkcs11::{Attribute, Code, ObjectHandle, Request, Session, TokenError};

/// The longest anchor.
pub(crate) const ANCHOR_MAX: usize = 1024;

/// Every anchor that the token holds.
pub(crate) fn read(session: &Session) -> Result<Vec<Vec<u8>>, TokenError> {
    find(session)?.into_iter().map(|handle| value(session, handle)).collect()
}

/// Makes the new anchor and proves that it can be read, and only then destroys the others.
pub(crate) fn replace(session: &Session, anchor: &[u8]) -> Result<(), TokenError> {
    let old = find(session)?;
    let new = session.create(&[
        Attribute::Number(CKA_CLASS, CKO_DATA),
        Attribute::Flag(CKA_TOKEN, true),
        Attribute::Flag(CKA_PRIVATE, true),
        Attribute::Flag(CKA_MODIFIABLE, false),
        Attribute::Bytes(CKA_LABEL, ANCHOR_LABEL.as_bytes()),
        Attribute::Bytes(CKA_APPLICATION, APPLICATION.as_bytes()),
        Attribute::Bytes(CKA_VALUE, anchor),
    ])?;
    if value(session, new)? != anchor {
        return Err(TokenError {
            call: crate::pkcs11::Call::GetAttributeValue,
            code: Code(CKR_FUNCTION_FAILED),
        });
    }
    old.into_iter().try_for_each(|handle| session.destroy(handle))
}

fn find(session: &Session) -> Result<Vec<ObjectHandle>, TokenError> {
    let template = [
        Attribute::Number(CKA_CLASS, CKO_DATA),
        Attribute::Bytes(CKA_APPLICATION, APPLICATION.as_bytes()),
        Attribute::Bytes(CKA_LABEL, ANCHOR_LABEL.as_bytes()),
    ];
    session.find(&template, 64)
}

fn value(session: &Session, handle: ObjectHandle) -> Result<Vec<u8>, TokenError> {
    let mut bytes = [0; ANCHOR_MAX];
    let mut request = [Request::new(CKA_VALUE, &mut bytes)];
    session.read(handle, &mut request)?;
    Ok(request[0].bytes().unwrap_or_default().to_vec())
}
