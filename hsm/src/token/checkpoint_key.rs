//! The key that signs the audit log's checkpoints: made in the token at `init`, never extractable, used for nothing
//! else. Ed25519 where the token has it, else ECDSA P-256. Not for other messages.

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use sha2::{Digest, Sha256};

use crate::labels::CHECKPOINT_KEY_LABEL;
use crate::pkcs11::{Session, TokenError};

/// The object identifiers of the curves in DER (RFC 8410, RFC 5480).
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointKeyError {
    #[error("{0}")]
    Unfit(String),
    #[error("the kernel's generator failed")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// The public half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointKey {
    /// RFC 8032, 32 bytes.
    Ed25519([u8; 32]),
    /// An uncompressed SEC 1 point: 4, x, y.
    P256([u8; 65]),
}

/// Both halves as the token has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckpointSigner {
    private: ObjectHandle,
    pub(crate) public: CheckpointKey,
}

impl CheckpointSigner {
    /// Makes the pair. The caller has made sure that there is none.
    pub(crate) fn generate(session: &Session) -> Result<Self, CheckpointKeyError> {
        let edwards = make(session, &Mechanism::EccEdwardsKeyPairGen, KeyType::EC_EDWARDS, ED25519);
        if let Err(error) = edwards {
            tracing::info!(%error, "the token makes no Ed25519 key; checkpoints are signed by ECDSA P-256");
            make(session, &Mechanism::EccKeyPairGen, KeyType::EC, P256)?;
        }
        Self::find(session)
    }

    /// Whether any object carries the label.
    pub(crate) fn exists(session: &Session) -> Result<bool, TokenError> {
        Ok(!session.find(&[Attribute::Label(CHECKPOINT_KEY_LABEL.into())], 1)?.is_empty())
    }

    /// Finds the one pair of the label and checks that the private half is what it must be.
    pub(crate) fn find(session: &Session) -> Result<Self, CheckpointKeyError> {
        let private = one(session, ObjectClass::PRIVATE_KEY)?;
        let public = one(session, ObjectClass::PUBLIC_KEY)?;
        for (wanted, problem) in [
            (Attribute::Sensitive(true), "CKA_SENSITIVE of its private half must be true"),
            (Attribute::Extractable(false), "CKA_EXTRACTABLE of its private half must be false"),
            (Attribute::Sign(true), "CKA_SIGN of its private half must be true"),
        ] {
            if session.read(private, &[wanted.attribute_type()])?.pop() != Some(wanted) {
                return Err(unfit(problem.to_owned()));
            }
        }
        let Some(Attribute::EcPoint(point)) = session.read(public, &[AttributeType::EcPoint])?.pop() else {
            return Err(unfit("its public half shows no CKA_EC_POINT".to_owned()));
        };
        // A DER octet string by the standard; some tokens leave the wrapping out.
        let point = match &point[..] {
            [0x04, 0x20, point @ ..] | [0x04, 0x41, point @ ..] => point,
            point => point,
        };
        let public = if let Ok(key) = point.try_into() {
            CheckpointKey::Ed25519(key)
        } else if let Ok(key) = point.try_into() {
            CheckpointKey::P256(key)
        } else {
            return Err(unfit(format!("its CKA_EC_POINT has {} bytes", point.len())));
        };
        Ok(Self { private, public })
    }

    /// 64 bytes: Ed25519, or r ‖ s over SHA-256 of the text.
    pub(crate) fn sign(&self, session: &Session, text: &[u8]) -> Result<Vec<u8>, TokenError> {
        match self.public {
            CheckpointKey::Ed25519(_) => {
                let pure = EddsaParams::new(EddsaSignatureScheme::Pure);
                session.sign(&Mechanism::Eddsa(pure), self.private, text)
            }
            CheckpointKey::P256(_) => session.sign(&Mechanism::Ecdsa, self.private, &Sha256::digest(text)),
        }
    }
}

fn make(
    session: &Session,
    mechanism: &Mechanism<'_>,
    key_type: KeyType,
    curve: &[u8],
) -> Result<(), CheckpointKeyError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    let named = [
        Attribute::KeyType(key_type),
        Attribute::Token(true),
        Attribute::Label(CHECKPOINT_KEY_LABEL.into()),
        Attribute::Id(id.into()),
    ];
    let mut public = vec![
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::Verify(true),
        Attribute::EcParams(curve.into()),
    ];
    let mut private = vec![
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ];
    public.extend_from_slice(&named);
    private.extend(named);
    session.generate_key_pair(mechanism, &public, &private)?;
    Ok(())
}

fn one(session: &Session, class: ObjectClass) -> Result<ObjectHandle, CheckpointKeyError> {
    let template = [Attribute::Class(class), Attribute::Label(CHECKPOINT_KEY_LABEL.into())];
    match session.find(&template, 2)?[..] {
        [handle] => Ok(handle),
        [] => Err(unfit("the token does not hold it; run init".to_owned())),
        _ => Err(unfit("several objects carry its label".to_owned())),
    }
}

fn unfit(problem: String) -> CheckpointKeyError {
    CheckpointKeyError::Unfit(problem)
}
