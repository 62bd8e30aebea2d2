//! The key-encryption key: made in the token, checked after creation and at every start. Not for using it.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::types::Ulong;

use super::prepared;
use crate::labels::KEK_LABEL;
use crate::pkcs11::{Session, TokenError};

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
    #[error("the kernel's generator failed")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// What a key-encryption key is made of and may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KekKind {
    /// AES-256 that encrypts and decrypts.
    Aes,
    /// A generic secret of 32 bytes that makes MACs.
    Mac,
}

/// How long a key lives.
#[derive(Clone, Copy)]
pub(super) enum Lifetime<'a> {
    Token { label: &'a str, id: [u8; 16] },
    Session,
}

impl KekKind {
    const ALL: &[Self] = &[Self::Aes, Self::Mac];

    fn of_type(key_type: KeyType) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.key_types().contains(&key_type))
    }

    /// The types that such a key may have, in the order in which they are tried: YubiHSM 2 wants the MAC's own type.
    const fn key_types(self) -> &'static [KeyType] {
        match self {
            Self::Aes => &[KeyType::AES],
            Self::Mac => &[KeyType::GENERIC_SECRET, KeyType::SHA256_HMAC],
        }
    }

    fn mechanism(self) -> Mechanism<'static> {
        match self {
            Self::Aes => Mechanism::AesKeyGen,
            Self::Mac => Mechanism::GenericSecretKeyGen,
        }
    }

    /// The only capabilities that such a key has.
    const fn allows(self) -> &'static [AttributeType] {
        match self {
            Self::Aes => &[AttributeType::Encrypt, AttributeType::Decrypt],
            Self::Mac => &[AttributeType::Sign],
        }
    }

    /// Makes a key of the kind.
    pub(super) fn generate(
        self,
        session: &Session,
        lifetime: Lifetime<'_>,
    ) -> Result<ObjectHandle, TokenError> {
        let mut template = vec![Attribute::Class(ObjectClass::SECRET_KEY), Attribute::ValueLen(LENGTH)];
        template.extend(self.required().into_iter().map(|(attribute, _)| attribute));
        match lifetime {
            Lifetime::Token { label, id } => template.extend([
                Attribute::Token(true),
                Attribute::Label(label.into()),
                Attribute::Id(id.into()),
            ]),
            Lifetime::Session => template.push(Attribute::Token(false)),
        }
        let make = |key_type: &KeyType| {
            let template = [&template[..], &[Attribute::KeyType(*key_type)]].concat();
            session.generate_key(&self.mechanism(), &template)
        };
        let (first, others) = self.key_types().split_first().unwrap_or((&KeyType::AES, &[]));
        others
            .iter()
            .fold(make(first), |made, key_type| made.or_else(|error| make(key_type).map_err(|_| error)))
    }

    /// What a key of the kind must be. Every capability but its own is refused: with one of those, a second mechanism
    /// could export what the scheme guards.
    ///
    /// CKA_MODIFIABLE is not here: SoftHSM refuses to make a session copy of a key that has it false, and what an owner of
    /// the PIN could change with it (never SENSITIVE or EXTRACTABLE) is checked at every start.
    fn required(self) -> Vec<(Attribute, &'static str)> {
        let mut required = vec![
            (Attribute::Private(true), "CKA_PRIVATE must be true"),
            (Attribute::Sensitive(true), "CKA_SENSITIVE must be true"),
            (Attribute::Extractable(false), "CKA_EXTRACTABLE must be false"),
        ];
        for (right, kind, must, must_not) in [
            (
                Attribute::Encrypt as fn(bool) -> Attribute,
                AttributeType::Encrypt,
                "CKA_ENCRYPT must be true",
                "CKA_ENCRYPT must be false",
            ),
            (
                Attribute::Decrypt,
                AttributeType::Decrypt,
                "CKA_DECRYPT must be true",
                "CKA_DECRYPT must be false",
            ),
            (Attribute::Wrap, AttributeType::Wrap, "CKA_WRAP must be true", "CKA_WRAP must be false"),
            (Attribute::Unwrap, AttributeType::Unwrap, "CKA_UNWRAP must be true", "CKA_UNWRAP must be false"),
            (Attribute::Derive, AttributeType::Derive, "CKA_DERIVE must be true", "CKA_DERIVE must be false"),
            (Attribute::Sign, AttributeType::Sign, "CKA_SIGN must be true", "CKA_SIGN must be false"),
            (Attribute::Verify, AttributeType::Verify, "CKA_VERIFY must be true", "CKA_VERIFY must be false"),
        ] {
            let allowed = self.allows().contains(&kind);
            required.push((right(allowed), if allowed { must } else { must_not }));
        }
        required
    }
}

/// History of the key; not every token keeps it.
const REQUIRED_IF_PRESENT: [(Attribute, &str); 2] = [
    (Attribute::AlwaysSensitive(false), "CKA_ALWAYS_SENSITIVE"),
    (Attribute::NeverExtractable(false), "CKA_NEVER_EXTRACTABLE"),
];

const LENGTH: Ulong = Ulong::new(32);

impl Kek {
    /// Makes the key in the token. The caller has made sure that there is none.
    pub(crate) fn generate(session: &Session, kind: KekKind) -> Result<Self, KekError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let made = kind.generate(session, Lifetime::Token { label: KEK_LABEL, id })?;
        match Self::find(session) {
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
    pub(crate) fn find(session: &Session) -> Result<Self, KekError> {
        Self::find_labelled(session, None)
    }

    /// The same, or the one key of the label that the administrator of the HSM gave it.
    pub(crate) fn find_labelled(session: &Session, prepared: Option<&str>) -> Result<Self, KekError> {
        let label = prepared.unwrap_or(KEK_LABEL);
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::Label(label.into()),
            // Not the session copies of this key.
            Attribute::Token(true),
        ];
        let found = session.find(&template, 16)?;
        let [handle] = found[..] else {
            let label = label.to_owned();
            return Err(match found.len() {
                0 => KekError::Missing { label, prepared: prepared.is_some() },
                count => KekError::Duplicate { label, count },
            });
        };
        let kind = check(session, handle, prepared.is_some()).map_err(|error| {
            if let (KekError::Unfit(problem), Some(label)) = (&error, prepared) {
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
            Some(label) => prepared::id(label, &cka_id),
            None => {
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

fn check(session: &Session, kek: ObjectHandle, prepared: bool) -> Result<KekKind, KekError> {
    let kind = match read(session, kek, AttributeType::KeyType)? {
        Some(Attribute::KeyType(key_type)) => KekKind::of_type(key_type),
        _ => None,
    };
    let kind = kind.ok_or_else(|| {
        KekError::Unfit("CKA_KEY_TYPE must be CKK_AES, CKK_GENERIC_SECRET or CKK_SHA256_HMAC".into())
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
    if !has(session, kek, &Attribute::ValueLen(LENGTH))? {
        return Err(KekError::Unfit("CKA_VALUE_LEN must be 32".into()));
    }
    if !session.hides(kek, AttributeType::Value)? {
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
