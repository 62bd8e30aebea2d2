//! The key-encryption key: made in the token, checked after creation and at every start. Not for using it.

use cryptoki_sys::*;

use crate::labels::KEK_LABEL;
use crate::pkcs11::{Attribute, ObjectHandle, Request, Session, TokenError};

/// The key-encryption key as an object of the token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kek {
    pub(crate) handle: ObjectHandle,
    /// Its `CKA_ID`, which every record names.
    pub(crate) id: [u8; 16],
}

/// Why there is no usable key-encryption key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KekError {
    #[error("there is none")]
    Missing,
    #[error("there are {0}")]
    Duplicate(usize),
    #[error("{0}")]
    Unfit(String),
    #[error("the kernel's generator failed")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Every capability that is not ENCRYPT or DECRYPT: with one of these, a second mechanism could export what GCM guards.
///
/// CKA_MODIFIABLE is not among them: SoftHSM refuses to make a session copy of a key that has it false, and what an owner
/// of the PIN could change with it (never SENSITIVE or EXTRACTABLE) is checked at every start.
const FORBIDDEN: [(CK_ATTRIBUTE_TYPE, &str); 6] = [
    (CKA_EXTRACTABLE, "CKA_EXTRACTABLE"),
    (CKA_WRAP, "CKA_WRAP"),
    (CKA_UNWRAP, "CKA_UNWRAP"),
    (CKA_DERIVE, "CKA_DERIVE"),
    (CKA_SIGN, "CKA_SIGN"),
    (CKA_VERIFY, "CKA_VERIFY"),
];
const REQUIRED: [(CK_ATTRIBUTE_TYPE, &str); 5] = [
    (CKA_TOKEN, "CKA_TOKEN"),
    (CKA_PRIVATE, "CKA_PRIVATE"),
    (CKA_SENSITIVE, "CKA_SENSITIVE"),
    (CKA_ENCRYPT, "CKA_ENCRYPT"),
    (CKA_DECRYPT, "CKA_DECRYPT"),
];
/// History of the key; not every token keeps it.
const REQUIRED_IF_PRESENT: [(CK_ATTRIBUTE_TYPE, &str); 3] = [
    (CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE"),
    (CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE"),
    (CKA_LOCAL, "CKA_LOCAL"),
];

impl Kek {
    /// Makes the key in the token. The caller has made sure that there is none.
    pub(crate) fn generate(session: &Session) -> Result<Self, KekError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let mut template = vec![
            Attribute::Number(CKA_CLASS, CKO_SECRET_KEY),
            Attribute::Number(CKA_KEY_TYPE, CKK_AES),
            Attribute::Number(CKA_VALUE_LEN, 32),
            Attribute::Bytes(CKA_LABEL, KEK_LABEL.as_bytes()),
            Attribute::Bytes(CKA_ID, &id),
        ];
        template.extend(REQUIRED.map(|(kind, _)| Attribute::Flag(kind, true)));
        template.extend(FORBIDDEN.map(|(kind, _)| Attribute::Flag(kind, false)));
        session.generate_key(CKM_AES_KEY_GEN, &template)?;
        let kek = Self::find(session)?;
        if kek.id != id {
            return Err(KekError::Unfit("it is not the one that was just made".into()));
        }
        Ok(kek)
    }

    /// Finds the one key of the label and checks what it is.
    pub(crate) fn find(session: &Session) -> Result<Self, KekError> {
        let template = [
            Attribute::Number(CKA_CLASS, CKO_SECRET_KEY),
            Attribute::Bytes(CKA_LABEL, KEK_LABEL.as_bytes()),
            // Not the session copies of this key.
            Attribute::Flag(CKA_TOKEN, true),
        ];
        let found = session.find(&template, 16)?;
        let [handle] = found[..] else {
            return Err(if found.is_empty() { KekError::Missing } else { KekError::Duplicate(found.len()) });
        };
        check(session, handle)?;
        let mut id = [0; 64];
        let mut request = [Request::new(CKA_ID, &mut id)];
        session.read(handle, &mut request)?;
        let [request] = request;
        let id = request.bytes().and_then(|id| <[u8; 16]>::try_from(id).ok());
        let id = id.ok_or_else(|| KekError::Unfit("CKA_ID is not 16 bytes".into()))?;
        Ok(Self { handle, id })
    }

    /// A copy that lives in `session` and dies with it: it needs no file of SoftHSM and is three times as fast.
    ///
    /// Gives the token's own key where the token refuses copies.
    pub(crate) fn session_copy(&self, session: &Session) -> Result<ObjectHandle, KekError> {
        match session.copy(self.handle, &[Attribute::Flag(CKA_TOKEN, false)]) {
            Ok(copy) => {
                let weak = flag(session, copy, CKA_EXTRACTABLE)? != Some(false)
                    || flag(session, copy, CKA_SENSITIVE)? != Some(true)
                    || !session.hides(copy, CKA_VALUE)?;
                if weak {
                    session.destroy(copy)?;
                    return Err(KekError::Unfit("its session copy shows its value".into()));
                }
                Ok(copy)
            }
            Err(error) => {
                tracing::warn!(%error, "no session copy of the key-encryption key; its own object is used");
                Ok(self.handle)
            }
        }
    }
}

fn check(session: &Session, kek: ObjectHandle) -> Result<(), KekError> {
    for (kind, name) in REQUIRED {
        if flag(session, kek, kind)? != Some(true) {
            return Err(KekError::Unfit(format!("{name} must be true")));
        }
    }
    for (kind, name) in FORBIDDEN {
        if flag(session, kek, kind)? != Some(false) {
            return Err(KekError::Unfit(format!("{name} must be false")));
        }
    }
    for (kind, name) in REQUIRED_IF_PRESENT {
        if flag(session, kek, kind)? == Some(false) {
            return Err(KekError::Unfit(format!("{name} must be true: the key was not born in the token")));
        }
    }
    for (kind, wanted, what) in [
        (CKA_KEY_TYPE, CKK_AES, "CKA_KEY_TYPE must be CKK_AES"),
        (CKA_VALUE_LEN, 32, "CKA_VALUE_LEN must be 32"),
    ] {
        let mut number = [0; size_of::<CK_ULONG>()];
        let mut request = [Request::new(kind, &mut number)];
        session.read(kek, &mut request)?;
        if request[0].length != Some(size_of::<CK_ULONG>()) || CK_ULONG::from_ne_bytes(number) != wanted {
            return Err(KekError::Unfit(what.into()));
        }
    }
    if !session.hides(kek, CKA_VALUE)? {
        return Err(KekError::Unfit("the token shows its value".into()));
    }
    Ok(())
}

fn flag(
    session: &Session,
    object: ObjectHandle,
    kind: CK_ATTRIBUTE_TYPE,
) -> Result<Option<bool>, TokenError> {
    let mut byte = [0];
    let mut request = [Request::new(kind, &mut byte)];
    session.read(object, &mut request)?;
    Ok(request[0].length.filter(|length| *length == 1).map(|_| byte != [0]))
}
