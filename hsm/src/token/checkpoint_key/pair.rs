//! A checkpoint key in the token: a key pair that is never extractable, made with one label and found by it. Not for the
//! choice of its kind (`checkpoint_key`).

use std::sync::atomic::{AtomicBool, Ordering};

use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::types::Ulong;
use sha2::{Digest, Sha256};

use super::error::{CheckpointKeyError, unfit};
use super::public::CheckpointKey;
use crate::pkcs11::{RSA_EXPONENT, RSA_LEN, RsaModulus, Session, TokenError};

/// The object identifiers of the curves in DER (RFC 8410, RFC 5480).
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

const RSA_BITS: Ulong = Ulong::new(8 * RSA_LEN as u64);
/// SHA-256, MGF1 with SHA-256, 32 bytes of salt.
const PSS: PkcsPssParams =
    PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len: Ulong::new(32) };

/// A kind of key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PairKind {
    Ed25519,
    P256,
    Rsa3072,
}

/// Both halves as the token has them.
#[derive(Debug)]
pub(super) struct Pair {
    private: ObjectHandle,
    pub(super) public: CheckpointKey,
    /// The token signs RSA-PSS over a digest alone: seen at the first signature.
    over_digest: AtomicBool,
}

impl PairKind {
    /// In the order in which they are tried.
    pub(super) const ALL: [Self; 3] = [Self::Ed25519, Self::P256, Self::Rsa3072];

    /// Makes a pair. The caller has made sure that there is none of the label.
    pub(super) fn make(
        self,
        session: &Session,
        label: &str,
        id: [u8; 16],
    ) -> Result<[ObjectHandle; 2], TokenError> {
        let (mechanism, key_type) = match self {
            Self::Ed25519 => (Mechanism::EccEdwardsKeyPairGen, KeyType::EC_EDWARDS),
            Self::P256 => (Mechanism::EccKeyPairGen, KeyType::EC),
            Self::Rsa3072 => (Mechanism::RsaPkcsKeyPairGen, KeyType::RSA),
        };
        let named = [
            Attribute::KeyType(key_type),
            Attribute::Token(true),
            Attribute::Label(label.into()),
            Attribute::Id(id.into()),
        ];
        let mut public = vec![Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Verify(true)];
        match self {
            Self::Ed25519 => public.push(Attribute::EcParams(ED25519.into())),
            Self::P256 => public.push(Attribute::EcParams(P256.into())),
            Self::Rsa3072 => public
                .extend([Attribute::ModulusBits(RSA_BITS), Attribute::PublicExponent(RSA_EXPONENT.into())]),
        }
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
        session.generate_key_pair(&mechanism, &public, &private).map(|(public, private)| [public, private])
    }
}

impl Pair {
    /// The one pair of the label, its private half checked to be what it must be; none where no object has the label.
    pub(super) fn find(session: &Session, label: &str) -> Result<Option<Self>, CheckpointKeyError> {
        let (private, public) = match (
            one(session, ObjectClass::PRIVATE_KEY, label)?,
            one(session, ObjectClass::PUBLIC_KEY, label)?,
        ) {
            (Some(private), Some(public)) => (private, public),
            (None, None) => return Ok(None),
            (Some(_), None) | (None, Some(_)) => {
                let cure = "destroy it by the vendor's tools and run init again";
                return Err(unfit(format!("the token holds one half of it alone: {cure}")));
            }
        };
        for (wanted, problem) in [
            (Attribute::Sensitive(true), "CKA_SENSITIVE of its private half must be true"),
            (Attribute::Extractable(false), "CKA_EXTRACTABLE of its private half must be false"),
            (Attribute::Sign(true), "CKA_SIGN of its private half must be true"),
        ] {
            if session.read(private, &[wanted.attribute_type()])?.pop() != Some(wanted) {
                return Err(unfit(problem));
            }
        }
        Ok(Some(Self { private, public: public_half(session, public)?, over_digest: AtomicBool::new(false) }))
    }

    /// Destroys a half that is alone: the process died while the token made the pair.
    pub(super) fn remove_half(session: &Session, label: &str) -> Result<(), TokenError> {
        let find = |class| session.find(&[Attribute::Class(class), Attribute::Label(label.into())], 2);
        match (&find(ObjectClass::PRIVATE_KEY)?[..], &find(ObjectClass::PUBLIC_KEY)?[..]) {
            ([half], []) | ([], [half]) => session.destroy(*half),
            _ => Ok(()),
        }
    }

    /// The signature in the form that [`CheckpointKey::verify`] has. `another` opens a session for a second call, because a
    /// refusal may spoil one.
    pub(super) fn sign(
        &self,
        session: &Session,
        another: &dyn Fn() -> Result<Session, TokenError>,
        text: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        match self.public {
            CheckpointKey::Ed25519(_) => {
                let pure = EddsaParams::new(EddsaSignatureScheme::Pure);
                session.sign(&Mechanism::Eddsa(pure), self.private, text)
            }
            CheckpointKey::P256(_) => session.sign(&Mechanism::Ecdsa, self.private, &Sha256::digest(text)),
            CheckpointKey::Rsa3072(_) => self.sign_pss(session, another, text),
        }
    }

    /// By the mechanism that hashes too; where the token lacks it or signs wrongly, by the one over a digest.
    fn sign_pss(
        &self,
        session: &Session,
        another: &dyn Fn() -> Result<Session, TokenError>,
        text: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        let over_digest = |session: &Session| {
            session.sign(&Mechanism::RsaPkcsPss(PSS), self.private, &Sha256::digest(text))
        };
        if self.over_digest.load(Ordering::Relaxed) {
            return over_digest(session);
        }
        match session.sign(&Mechanism::Sha256RsaPkcsPss(PSS), self.private, text) {
            Ok(signature) if self.public.verify(text, &signature) => return Ok(signature),
            Ok(_) => tracing::info!("CKM_SHA256_RSA_PKCS_PSS signs wrongly; CKM_RSA_PKCS_PSS is tried"),
            Err(error) if error.is_unsupported() => {
                tracing::info!(%error, "no CKM_SHA256_RSA_PKCS_PSS; CKM_RSA_PKCS_PSS is tried");
            }
            Err(error) => return Err(error),
        }
        let signature = over_digest(&another()?)?;
        self.over_digest.store(true, Ordering::Relaxed);
        Ok(signature)
    }
}

/// The public half as the token shows it.
fn public_half(session: &Session, public: ObjectHandle) -> Result<CheckpointKey, CheckpointKeyError> {
    if let Some(Attribute::EcPoint(point)) = session.read(public, &[AttributeType::EcPoint])?.pop() {
        // A DER octet string by the standard; some tokens leave the wrapping out.
        let point = match &point[..] {
            [0x04, 0x20, point @ ..] | [0x04, 0x41, point @ ..] => point,
            point => point,
        };
        return if let Ok(key) = point.try_into() {
            Ok(CheckpointKey::Ed25519(key))
        } else if let Ok(key) = point.try_into() {
            Ok(CheckpointKey::P256(key))
        } else {
            Err(unfit(format!("its CKA_EC_POINT has {} bytes", point.len())))
        };
    }
    match session.rsa_modulus(public)? {
        RsaModulus::Fit(modulus) => Ok(CheckpointKey::Rsa3072(modulus)),
        RsaModulus::Hidden => Err(unfit("its public half shows neither CKA_EC_POINT nor CKA_MODULUS")),
        RsaModulus::Unfit(problem) => Err(unfit(problem)),
    }
}

fn one(
    session: &Session,
    class: ObjectClass,
    label: &str,
) -> Result<Option<ObjectHandle>, CheckpointKeyError> {
    let template = [Attribute::Class(class), Attribute::Label(label.into())];
    match session.find(&template, 2)?[..] {
        [handle] => Ok(Some(handle)),
        [] => Ok(None),
        _ => Err(unfit("several objects carry its label")),
    }
}
