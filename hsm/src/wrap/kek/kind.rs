//! Kinds of key-encryption keys: what each is made of, what it may do, what it must be. Not for finding one.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::types::Ulong;

use crate::pkcs11::{RSA_EXPONENT, RSA_LEN, Session, TokenError};

/// What a key-encryption key is made of and may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KekKind {
    /// AES-256 that encrypts and decrypts.
    Aes,
    /// A generic secret of 32 bytes that makes MACs.
    Mac,
    /// A private key of RSA with 3072 bits that decrypts.
    Rsa,
}

/// How long a key lives.
#[derive(Clone, Copy)]
pub(in crate::wrap) enum Lifetime<'a> {
    Token { label: &'a str, id: [u8; 16] },
    Session,
}

impl KekKind {
    const ALL: &[Self] = &[Self::Aes, Self::Mac, Self::Rsa];

    pub(super) fn of_type(key_type: KeyType) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.key_types().contains(&key_type))
    }

    /// The types that such a key may have, in the order in which they are tried: YubiHSM 2 wants the MAC's own type.
    const fn key_types(self) -> &'static [KeyType] {
        match self {
            Self::Aes => &[KeyType::AES],
            Self::Mac => &[KeyType::GENERIC_SECRET, KeyType::SHA256_HMAC],
            Self::Rsa => &[KeyType::RSA],
        }
    }

    const fn class(self) -> ObjectClass {
        match self {
            Self::Aes | Self::Mac => ObjectClass::SECRET_KEY,
            Self::Rsa => ObjectClass::PRIVATE_KEY,
        }
    }

    /// The attribute that no one may see.
    pub(super) const fn secret(self) -> AttributeType {
        match self {
            Self::Aes | Self::Mac => AttributeType::Value,
            Self::Rsa => AttributeType::PrivateExponent,
        }
    }

    /// The capabilities that a key of its class can have.
    const fn capabilities(self) -> &'static [AttributeType] {
        match self {
            Self::Aes | Self::Mac => &[
                AttributeType::Encrypt,
                AttributeType::Decrypt,
                AttributeType::Wrap,
                AttributeType::Unwrap,
                AttributeType::Derive,
                AttributeType::Sign,
                AttributeType::Verify,
            ],
            Self::Rsa => {
                &[AttributeType::Decrypt, AttributeType::Unwrap, AttributeType::Derive, AttributeType::Sign]
            }
        }
    }

    fn mechanism(self) -> Mechanism<'static> {
        match self {
            Self::Aes => Mechanism::AesKeyGen,
            Self::Mac => Mechanism::GenericSecretKeyGen,
            Self::Rsa => Mechanism::RsaPkcsKeyPairGen,
        }
    }

    /// The only capabilities that such a key has.
    pub(super) const fn allows(self) -> &'static [AttributeType] {
        match self {
            Self::Aes => &[AttributeType::Encrypt, AttributeType::Decrypt],
            Self::Mac => &[AttributeType::Sign],
            Self::Rsa => &[AttributeType::Decrypt],
        }
    }

    /// Makes a key of the kind.
    pub(in crate::wrap) fn generate(
        self,
        session: &Session,
        lifetime: Lifetime<'_>,
    ) -> Result<ObjectHandle, TokenError> {
        let mut template = vec![Attribute::Class(self.class())];
        template.extend(self.required().into_iter().map(|(attribute, _)| attribute));
        match lifetime {
            Lifetime::Token { label, id } => template.extend([
                Attribute::Token(true),
                Attribute::Label(label.into()),
                Attribute::Id(id.into()),
            ]),
            Lifetime::Session => template.push(Attribute::Token(false)),
        }
        let make = |key_type: &KeyType| match self {
            Self::Aes | Self::Mac => {
                let own = [Attribute::KeyType(*key_type), Attribute::ValueLen(LENGTH)];
                session.generate_key(&self.mechanism(), &[&template[..], &own].concat())
            }
            Self::Rsa => {
                let private = [&template[..], &[Attribute::KeyType(*key_type)]].concat();
                let make =
                    |public: Vec<Attribute>| session.generate_key_pair(&self.mechanism(), &public, &private);
                let of_session = make(public_half(vec![Attribute::Token(false)]));
                let made = of_session.or_else(|error| match lifetime {
                    // A token that keeps no objects for a session.
                    Lifetime::Token { label, id } => make(public_half(vec![
                        Attribute::Token(true),
                        Attribute::Label(label.into()),
                        Attribute::Id(id.into()),
                    ])),
                    Lifetime::Session => Err(error),
                });
                made.map(|(_, private)| private)
            }
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
    pub(super) fn required(self) -> Vec<(Attribute, &'static str)> {
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
            if !self.capabilities().contains(&kind) {
                continue;
            }
            let allowed = self.allows().contains(&kind);
            required.push((right(allowed), if allowed { must } else { must_not }));
        }
        required
    }
}

/// Of the secret ones, bytes.
pub(super) const LENGTH: Ulong = Ulong::new(32);

/// Of RSA: best for the session alone, because the private half shows the modulus too.
fn public_half(mut lifetime: Vec<Attribute>) -> Vec<Attribute> {
    lifetime.extend([
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::RSA),
        Attribute::ModulusBits(Ulong::new(8 * RSA_LEN as u64)),
        Attribute::PublicExponent(RSA_EXPONENT.into()),
    ]);
    lifetime
}
