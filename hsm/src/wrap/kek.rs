//! The key-encryption key: made in the token, checked after creation and at every start. Not for using it.

mod kind;

use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};

use super::prepared;
use crate::labels::KEK_LABEL;
use crate::pkcs11::{Session, TokenError};

pub(crate) use kind::KekKind;
use kind::LENGTH;
pub(in crate::wrap) use kind::Lifetime;

/// The key-encryption key as an object of the token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kek {
    pub(crate) handle: ObjectHandle,
    pub(crate) kind: KekKind,
    /// Its `CKA_ID`, which every record names; of a prepared key what follows from that and its label.
    pub(crate) id: [u8; 16],
    /// False where the token says that it did not make the key. NSS says so of every key.
    pub(crate) made_here: bool,
}

/// Why there is no usable key-encryption key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KekError {
    #[error("there is none")]
    Missing { label: String, prepared: bool },
    #[error("there are {count} called {label:?}")]
    Duplicate { label: String, count: usize },
    #[error("{0}")]
    Unfit(String),
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// History of the key; not every token keeps it.
const REQUIRED_IF_PRESENT: [(Attribute, &str); 2] = [
    (Attribute::AlwaysSensitive(false), "CKA_ALWAYS_SENSITIVE"),
    (Attribute::NeverExtractable(false), "CKA_NEVER_EXTRACTABLE"),
];

impl Kek {
    /// Makes the key in the token, with this `CKA_ID`. The caller has made sure that there is none of the label.
    pub(crate) fn generate(
        session: &Session,
        kind: KekKind,
        label: &str,
        id: [u8; 16],
    ) -> Result<Self, KekError> {
        let made = kind.generate(session, Lifetime::Token { label, id })?;
        match Self::locate(session, label, false) {
            Ok(kek) if kek.id == id => Ok(kek),
            Ok(_) => Err(KekError::Unfit("it is not the one that was just made".into())),
            Err(KekError::Unfit(problem)) => {
                // Not left behind: the next `init` would find it.
                session.destroy(made)?;
                Err(KekError::Unfit(problem))
            }
            Err(error) => Err(error),
        }
    }

    /// Finds the one key that `init` made and checks what it is.
    #[cfg(test)]
    pub(crate) fn find(session: &Session) -> Result<Self, KekError> {
        Self::find_labelled(session, None)
    }

    /// Finds the one key that `init` made, or the one of the label that the administrator of the HSM gave it.
    pub(crate) fn find_labelled(session: &Session, prepared: Option<&str>) -> Result<Self, KekError> {
        Self::locate(session, prepared.unwrap_or(KEK_LABEL), prepared.is_some())
    }

    fn locate(session: &Session, label: &str, prepared: bool) -> Result<Self, KekError> {
        let mut found = Vec::new();
        for class in [ObjectClass::SECRET_KEY, ObjectClass::PRIVATE_KEY] {
            let template = [
                Attribute::Class(class),
                Attribute::Label(label.into()),
                // Not the session copies of this key.
                Attribute::Token(true),
            ];
            found.extend(session.find(&template, 16)?);
        }
        let [handle] = found[..] else {
            let label = label.to_owned();
            return Err(match found.len() {
                0 => KekError::Missing { label, prepared },
                count => KekError::Duplicate { label, count },
            });
        };
        let kind = check(session, handle, prepared).map_err(|error| {
            if let (KekError::Unfit(problem), true) = (&error, prepared) {
                KekError::Unfit(format!("{label:?}: {problem}; {}", prepared::WANTED))
            } else {
                error
            }
        })?;
        let cka_id = match read(session, handle, AttributeType::Id)? {
            Some(Attribute::Id(id)) => id,
            _ => Vec::new(),
        };
        let id = match prepared {
            true => prepared::id(label, &cka_id),
            false => {
                <[u8; 16]>::try_from(cka_id).map_err(|_| KekError::Unfit("CKA_ID is not 16 bytes".into()))?
            }
        };
        let made_here = !has(session, handle, &Attribute::Local(false))?;
        Ok(Self { handle, kind, id, made_here })
    }

    /// A copy that lives in `session` and dies with it: it needs no file of SoftHSM and is three times as fast.
    ///
    /// Gives the token's own key where the token refuses copies.
    pub(crate) fn session_copy(&self, session: &Session) -> Result<ObjectHandle, KekError> {
        match session.copy(self.handle, &[Attribute::Token(false)]) {
            Ok(copy) => {
                let weak = !has(session, copy, &Attribute::Extractable(false))?
                    || !has(session, copy, &Attribute::Sensitive(true))?
                    || !session.hides(copy, self.kind.secret())?;
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

fn check(session: &Session, kek: ObjectHandle, prepared: bool) -> Result<KekKind, KekError> {
    let kind = match read(session, kek, AttributeType::KeyType)? {
        Some(Attribute::KeyType(key_type)) => KekKind::of_type(key_type),
        _ => None,
    };
    let kind = kind.ok_or_else(|| {
        let types = "CKK_AES, CKK_GENERIC_SECRET, CKK_SHA256_HMAC or CKK_RSA";
        KekError::Unfit(format!("CKA_KEY_TYPE must be {types}"))
    })?;
    for (attribute, problem) in kind.required() {
        let name = attribute.attribute_type();
        let found = read(session, kek, name)?;
        // A token need not know a right that the key has not; and who may check a MAC learns no key by it.
        let is_right =
            ![AttributeType::Private, AttributeType::Sensitive, AttributeType::Extractable].contains(&name);
        let is_absent = found.is_none() && is_right && !kind.allows().contains(&name);
        let is_harmless = is_absent || kind == KekKind::Mac && name == AttributeType::Verify;
        if found.as_ref() != Some(&attribute) && !(prepared && is_harmless) {
            return Err(KekError::Unfit(problem.into()));
        }
    }
    for (attribute, name) in REQUIRED_IF_PRESENT {
        if has(session, kek, &attribute)? {
            return Err(KekError::Unfit(format!("{name} must be true: copies of the key may exist")));
        }
    }
    if kind != KekKind::Rsa && !has(session, kek, &Attribute::ValueLen(LENGTH))? {
        return Err(KekError::Unfit("CKA_VALUE_LEN must be 32".into()));
    }
    if !session.hides(kek, kind.secret())? {
        return Err(KekError::Unfit("the token shows its value".into()));
    }
    Ok(kind)
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
