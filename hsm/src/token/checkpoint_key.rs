//! The key that signs the audit log's checkpoints: made in the token at `init`, never extractable, used for nothing
//! else. Ed25519 where the token has it, else ECDSA P-256. Not for messages of anybody else.

use cryptoki_sys::*;
use sha2::{Digest, Sha256};

use crate::labels::CHECKPOINT_KEY_LABEL;
use crate::pkcs11::{Attribute, ObjectHandle, Request, Session, TokenError};

/// The object identifiers of the curves in DER (RFC 8410, RFC 5480).
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotaryError {
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
pub(crate) struct Notary {
    private: ObjectHandle,
    pub(crate) public: CheckpointKey,
}

impl Notary {
    /// Makes the pair. The caller has made sure that there is none.
    pub(crate) fn generate(session: &Session) -> Result<Self, NotaryError> {
        let edwards = make(session, CKM_EC_EDWARDS_KEY_PAIR_GEN, CKK_EC_EDWARDS, ED25519);
        if let Err(error) = edwards {
            tracing::info!(%error, "the token makes no Ed25519 key; checkpoints are signed by ECDSA P-256");
            make(session, CKM_EC_KEY_PAIR_GEN, CKK_EC, P256)?;
        }
        Self::find(session)
    }

    /// Whether any object carries the label.
    pub(crate) fn exists(session: &Session) -> Result<bool, TokenError> {
        Ok(!session.find(&[Attribute::Bytes(CKA_LABEL, CHECKPOINT_KEY_LABEL.as_bytes())], 1)?.is_empty())
    }

    /// Finds the one pair of the label and checks that the private half is what it must be.
    pub(crate) fn find(session: &Session) -> Result<Self, NotaryError> {
        let private = one(session, CKO_PRIVATE_KEY)?;
        let public = one(session, CKO_PUBLIC_KEY)?;
        for (kind, wanted, name) in [
            (CKA_SENSITIVE, true, "CKA_SENSITIVE"),
            (CKA_EXTRACTABLE, false, "CKA_EXTRACTABLE"),
            (CKA_SIGN, true, "CKA_SIGN"),
        ] {
            let mut byte = [u8::from(!wanted)];
            let mut request = [Request::new(kind, &mut byte)];
            session.read(private, &mut request)?;
            if request[0].length != Some(1) || (byte != [0]) != wanted {
                return Err(unfit(format!("{name} of its private half must be {wanted}")));
            }
        }
        let mut point = [0; 128];
        let mut request = [Request::new(CKA_EC_POINT, &mut point)];
        session.read(public, &mut request)?;
        let [request] = request;
        // A DER octet string by the standard; some tokens leave the wrapping out.
        let point = match request.bytes() {
            Some([0x04, 0x20, point @ ..] | [0x04, 0x41, point @ ..]) => point,
            Some(point) => point,
            None => return Err(unfit("its public half shows no CKA_EC_POINT".to_owned())),
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
            CheckpointKey::Ed25519(_) => session.sign(CKM_EDDSA, self.private, text),
            CheckpointKey::P256(_) => session.sign(CKM_ECDSA, self.private, &Sha256::digest(text)),
        }
    }
}

fn make(
    session: &Session,
    mechanism: CK_MECHANISM_TYPE,
    key_type: CK_KEY_TYPE,
    curve: &[u8],
) -> Result<(), NotaryError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    let named = [
        Attribute::Number(CKA_KEY_TYPE, key_type),
        Attribute::Flag(CKA_TOKEN, true),
        Attribute::Bytes(CKA_LABEL, CHECKPOINT_KEY_LABEL.as_bytes()),
        Attribute::Bytes(CKA_ID, &id),
    ];
    let mut public = vec![
        Attribute::Number(CKA_CLASS, CKO_PUBLIC_KEY),
        Attribute::Flag(CKA_VERIFY, true),
        Attribute::Bytes(CKA_EC_PARAMS, curve),
    ];
    let mut private = vec![
        Attribute::Number(CKA_CLASS, CKO_PRIVATE_KEY),
        Attribute::Flag(CKA_PRIVATE, true),
        Attribute::Flag(CKA_SENSITIVE, true),
        Attribute::Flag(CKA_EXTRACTABLE, false),
        Attribute::Flag(CKA_SIGN, true),
        Attribute::Flag(CKA_DECRYPT, false),
        Attribute::Flag(CKA_UNWRAP, false),
        Attribute::Flag(CKA_DERIVE, false),
    ];
    public.extend(named);
    private.extend(named);
    session.generate_key_pair(mechanism, &public, &private)?;
    Ok(())
}

fn one(session: &Session, class: CK_OBJECT_CLASS) -> Result<ObjectHandle, NotaryError> {
    let template =
        [Attribute::Number(CKA_CLASS, class), Attribute::Bytes(CKA_LABEL, CHECKPOINT_KEY_LABEL.as_bytes())];
    match session.find(&template, 2)?[..] {
        [handle] => Ok(handle),
        [] => Err(unfit("the token does not hold it; run init".to_owned())),
        _ => Err(unfit("several objects carry its label".to_owned())),
    }
}

fn unfit(problem: String) -> NotaryError {
    NotaryError::Unfit(problem)
}
