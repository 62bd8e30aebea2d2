//! What the token remembers of the audit log: a few public bytes in a data object, so that a disk that was rolled back
//! is noticed. The service decides what they mean. Worthless in SoftHSM, whose objects are on the same disk.

use cryptoki::object::ObjectHandle;

use crate::labels::ANCHOR_LABEL;
use crate::pkcs11::{Function, Session, TokenError};
use crate::wrap::{Template, data_value, destroy, find_data};

/// The longest anchor, bytes.
pub(crate) const ANCHOR_MAX: usize = 1024;

/// The objects of the anchors that the token holds.
pub(crate) fn find(session: &Session) -> Result<Vec<ObjectHandle>, TokenError> {
    find_data(session, ANCHOR_LABEL)
}

/// Every anchor that the token holds.
pub(crate) fn read(session: &Session) -> Result<Vec<Vec<u8>>, TokenError> {
    find(session)?.into_iter().map(|handle| data_value(session, handle)).collect()
}

/// Puts the anchor in the place of any that is there. `sync` makes what is in the token durable.
pub(crate) fn replace<E: From<TokenError>>(
    session: &Session,
    template: &Template,
    anchor: &[u8],
    sync: &dyn Fn() -> Result<(), E>,
) -> Result<(), E> {
    let old = store(session, template, anchor)?;
    // A power cut must not leave a token without any.
    sync()?;
    destroy(session, old)?;
    sync()
}

/// Makes the new anchor and proves that it can be read; gives the others, to be destroyed once it is on the disk.
fn store(session: &Session, template: &Template, anchor: &[u8]) -> Result<Vec<ObjectHandle>, TokenError> {
    let old = find(session)?;
    let new = template.create(session, ANCHOR_LABEL, anchor)?;
    if data_value(session, new)? != anchor {
        let what = "the new anchor reads differently";
        return Err(TokenError::protocol_violation(Function::GetAttributeValue, what));
    }
    Ok(old)
}
