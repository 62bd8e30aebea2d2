//! The key-encryption key: made in the token, checked after creation and at every start. Not for using it.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::types::Ulong;

use crate::labels::KEK_LABEL;
use crate::pkcs11::{Session, TokenError};

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

/// What the key must be. Every capability but ENCRYPT and DECRYPT is refused: with one of those, a second mechanism could
/// export what AES-GCM guards.
///
/// CKA_MODIFIABLE is not here: SoftHSM refuses to make a session copy of a key that has it false, and what an owner of
/// the PIN could change with it (never SENSITIVE or EXTRACTABLE) is checked at every start.
const REQUIRED: [(Attribute, &str); 11] = [
    (Attribute::Token(true), "CKA_TOKEN must be true"),
    (Attribute::Private(true), "CKA_PRIVATE must be true"),
    (Attribute::Sensitive(true), "CKA_SENSITIVE must be true"),
    (Attribute::Encrypt(true), "CKA_ENCRYPT must be true"),
    (Attribute::Decrypt(true), "CKA_DECRYPT must be true"),
    (Attribute::Extractable(false), "CKA_EXTRACTABLE must be false"),
    (Attribute::Wrap(false), "CKA_WRAP must be false"),
    (Attribute::Unwrap(false), "CKA_UNWRAP must be false"),
    (Attribute::Derive(false), "CKA_DERIVE must be false"),
    (Attribute::Sign(false), "CKA_SIGN must be false"),
    (Attribute::Verify(false), "CKA_VERIFY must be false"),
];

/// History of the key; not every token keeps it.
const REQUIRED_IF_PRESENT: [(Attribute, &str); 3] = [
    (Attribute::AlwaysSensitive(false), "CKA_ALWAYS_SENSITIVE"),
    (Attribute::NeverExtractable(false), "CKA_NEVER_EXTRACTABLE"),
    (Attribute::Local(false), "CKA_LOCAL"),
];

const LENGTH: Ulong = Ulong::new(32);

impl Kek {
    /// Makes the key in the token. The caller has made sure that there is none.
    pub(crate) fn generate(session: &Session) -> Result<Self, KekError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let mut template = vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(LENGTH),
            Attribute::Label(KEK_LABEL.into()),
            Attribute::Id(id.into()),
        ];
        template.extend(REQUIRED.map(|(attribute, _)| attribute));
        session.generate_key(&Mechanism::AesKeyGen, &template)?;
        let kek = Self::find(session)?;
        if kek.id != id {
            return Err(KekError::Unfit("it is not the one that was just made".into()));
        }
        Ok(kek)
    }

    /// Finds the one key of the label and checks what it is.
    pub(crate) fn find(session: &Session) -> Result<Self, KekError> {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::Label(KEK_LABEL.into()),
            // Not the session copies of this key.
            Attribute::Token(true),
        ];
        let found = session.find(&template, 16)?;
        let [handle] = found[..] else {
            return Err(if found.is_empty() { KekError::Missing } else { KekError::Duplicate(found.len()) });
        };
        check(session, handle)?;
        let id = match read(session, handle, AttributeType::Id)? {
            Some(Attribute::Id(id)) => <[u8; 16]>::try_from(id).ok(),
            _ => None,
        };
        let id = id.ok_or_else(|| KekError::Unfit("CKA_ID is not 16 bytes".into()))?;
        Ok(Self { handle, id })
    }

    /// A copy that lives in `session` and dies with it: it needs no file of SoftHSM and is three times as fast.
    ///
    /// Gives the token's own key where the token refuses copies.
    pub(crate) fn session_copy(&self, session: &Session) -> Result<ObjectHandle, KekError> {
        match session.copy(self.handle, &[Attribute::Token(false)]) {
            Ok(copy) => {
                let weak = !has(session, copy, &Attribute::Extractable(false))?
                    || !has(session, copy, &Attribute::Sensitive(true))?
                    || !session.hides(copy, AttributeType::Value)?;
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
    for (attribute, problem) in REQUIRED {
        if !has(session, kek, &attribute)? {
            return Err(KekError::Unfit(problem.into()));
        }
    }
    for (attribute, name) in REQUIRED_IF_PRESENT {
        if has(session, kek, &attribute)? {
            return Err(KekError::Unfit(format!("{name} must be true: the key was not made in the token")));
        }
    }
    for (attribute, problem) in [
        (Attribute::KeyType(KeyType::AES), "CKA_KEY_TYPE must be CKK_AES"),
        (Attribute::ValueLen(LENGTH), "CKA_VALUE_LEN must be 32"),
    ] {
        if !has(session, kek, &attribute)? {
            return Err(KekError::Unfit(problem.into()));
        }
    }
    if !session.hides(kek, AttributeType::Value)? {
        return Err(KekError::Unfit("the token shows its value".into()));
    }
    Ok(())
}

/// Whether the object has this attribute with this value. One call each: where one attribute is unknown, some modules
/// leave the others of the call unread.
fn has(session: &Session, object: ObjectHandle, attribute: &Attribute) -> Result<bool, TokenError> {
    Ok(read(session, object, attribute.attribute_type())?.as_ref() == Some(attribute))
}

fn read(
    session: &Session,
    object: ObjectHandle,
    kind: AttributeType,
) -> Result<Option<Attribute>, TokenError> {
    Ok(session.read(object, &[kind])?.pop())
}
