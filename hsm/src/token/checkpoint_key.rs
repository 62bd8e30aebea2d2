//! The key that signs the audit log's checkpoints, made at `init` and used for nothing else: Ed25519, ECDSA P-256 or
//! RSA-PSS in the token, else Ed25519 in software. Not for other messages.
//!
//! `init` takes the first of these that has signed a text. It never changes afterwards.

mod error;
mod pair;
mod public;
mod sealed;

use cryptoki::object::ObjectHandle;

use super::place::Place;
use crate::arena::Arena;
use crate::error::OpenError;
use crate::key::InitIds;
use crate::labels::CHECKPOINT_KEY_LABEL;
use crate::pkcs11::{Function, Session, TokenError};
use crate::settings::PreparedKeys;
use crate::wrap::{Kek, Scheme, UnwrapError, WrappedKey};

pub(crate) use error::CheckpointKeyError;
use error::unfit;
use pair::{Pair, PairKind};
pub use public::CheckpointKey;
use sealed::SealedKey;

/// Signed by a new key before it is taken. No checkpoint and no statement begins so.
const PROBE: &[u8] = b"avs-kms probe of a checkpoint key v1\n";

/// Its record would need a signature of the key that is in it.
const NO_CIRCLE: &str =
    "records of scheme S5 must be signed by a key pair in the token, and it makes none that signs";

/// Both halves.
pub(crate) struct CheckpointSigner(Held);

/// Where the private half is.
enum Held {
    Token(Box<Pair>),
    Software(SealedKey),
}

/// What a signature needs beside the key.
pub(crate) struct SigningWith<'a> {
    pub(crate) session: &'a Session,
    /// Opens another session of the same login.
    pub(crate) another: &'a dyn Fn() -> Result<Session, TokenError>,
    /// The key-encryption key, or its copy.
    pub(crate) kek: ObjectHandle,
    pub(crate) arena: &'a mut Arena,
}

impl CheckpointSigner {
    /// The key that an interrupted `init` left, else a new one; it has signed.
    pub(crate) fn find_or_make(
        session: &dyn Fn() -> Result<Session, TokenError>,
        place: &Place,
        kek: &Kek,
        scheme: Scheme,
        ids: InitIds,
        arena: &mut Arena,
    ) -> Result<Self, CheckpointKeyError> {
        if let Some(found) = Self::look(&session()?, place, kek, scheme)? {
            found.prove(session, kek, arena)?;
            return Ok(found);
        }
        for kind in PairKind::ALL {
            match Self::make_pair((kind, ids.pair), session, (place, kek, scheme), arena) {
                Ok(made) => return Ok(made),
                Err(error) if error.is_of_this_kind() => {
                    tracing::info!(?kind, %error, "the token has no checkpoint key of this kind");
                }
                Err(error) => return Err(error),
            }
        }
        if scheme.needs_endorsement() {
            return Err(unfit(NO_CIRCLE));
        }
        tracing::warn!(
            "the token makes no key pair that signs; the checkpoint key is in software, sealed by it"
        );
        let storing = session()?;
        SealedKey::create(&storing, &*place.records(&storing), kek, scheme, ids.installation, arena)?;
        let made = Self::find(&session()?, place, kek, scheme)?;
        made.prove(session, kek, arena)?;
        Ok(made)
    }

    /// A new pair that has signed; one that does not sign is destroyed.
    fn make_pair(
        (kind, id): (PairKind, [u8; 16]),
        session: &dyn Fn() -> Result<Session, TokenError>,
        (place, kek, scheme): (&Place, &Kek, Scheme),
        arena: &mut Arena,
    ) -> Result<Self, CheckpointKeyError> {
        let handles = kind.make(&session()?, &place.naming.label(CHECKPOINT_KEY_LABEL), id)?;
        let proven = Self::find(&session()?, place, kek, scheme)
            .and_then(|made| made.prove(session, kek, arena).map(|()| made));
        proven.map_err(|error| {
            let destroyed = session().and_then(|session| handles.map(|half| session.destroy(half)).into_iter().collect());
            match destroyed {
                Ok(()) => error,
                Err(kept) => CheckpointKeyError::Stop {
                    problem: format!(
                        "the token made a pair that is unfit ({error}) and did not destroy it ({kept}): destroy it by \
                         the vendor's tools and run init again"
                    ),
                },
            }
        })
    }

    /// Destroys half of a pair that an attempt to make one left. The caller knows that no other program made it.
    pub(crate) fn remove_half(session: &Session) -> Result<(), TokenError> {
        Pair::remove_half(session, CHECKPOINT_KEY_LABEL)
    }

    /// The one key that the token holds, or that is sealed in the place of the records.
    pub(crate) fn find(
        session: &Session,
        place: &Place,
        kek: &Kek,
        scheme: Scheme,
    ) -> Result<Self, CheckpointKeyError> {
        Self::look(session, place, kek, scheme)?
            .ok_or_else(|| unfit("the token does not hold it: restore the token from its backup"))
    }

    /// The one key pair that the administrator of the HSM made under this label.
    pub(crate) fn find_prepared(session: &Session, label: &str) -> Result<Self, CheckpointKeyError> {
        let pair = Pair::find(session, label)?.ok_or_else(|| unfit("the token does not hold it"))?;
        Ok(Self(Held::Token(Box::new(pair))))
    }

    fn look(
        session: &Session,
        place: &Place,
        kek: &Kek,
        scheme: Scheme,
    ) -> Result<Option<Self>, CheckpointKeyError> {
        let sealed = SealedKey::find(&*place.records(session), kek, scheme)?;
        let held = match (Pair::find(session, &place.naming.label(CHECKPOINT_KEY_LABEL))?, sealed) {
            (Some(_), Some(_)) => return Err(unfit("a key pair and a sealed seed are both there")),
            (Some(pair), None) => Held::Token(Box::new(pair)),
            (None, Some(_)) if scheme.needs_endorsement() => return Err(unfit(NO_CIRCLE)),
            (None, Some(sealed)) => Held::Software(sealed),
            (None, None) => return Ok(None),
        };
        Ok(Some(Self(held)))
    }

    /// At a start: whether a key in software opens and signs. One in the token is tried by the first checkpoint.
    pub(crate) fn prove_sealed(
        &self,
        session: &dyn Fn() -> Result<Session, TokenError>,
        kek: &Kek,
        arena: &mut Arena,
    ) -> Result<(), CheckpointKeyError> {
        match self.0 {
            Held::Token(_) => Ok(()),
            Held::Software(_) => self.prove(session, kek, arena),
        }
    }

    /// Signs a text and verifies the signature in software.
    pub(crate) fn prove(
        &self,
        session: &dyn Fn() -> Result<Session, TokenError>,
        kek: &Kek,
        arena: &mut Arena,
    ) -> Result<(), CheckpointKeyError> {
        let with = SigningWith { session: &session()?, another: session, kek: kek.handle, arena };
        let signature = self.sign(with, PROBE).map_err(|error| match (&self.0, error.as_token_error()) {
            (Held::Software(_), error) if !error.is_outage() => {
                unfit(format!("its sealed seed does not open: {error}"))
            }
            (_, error) => error.into(),
        })?;
        match self.public().verify(PROBE, &signature) {
            true => Ok(()),
            false => Err(unfit("its signature is wrong")),
        }
    }

    /// The signature in the form that [`CheckpointKey::verify`] has.
    pub(crate) fn sign(&self, with: SigningWith<'_>, text: &[u8]) -> Result<Vec<u8>, UnwrapError> {
        match &self.0 {
            Held::Token(pair) => Ok(pair.sign(with.session, with.another, text)?),
            Held::Software(sealed) => Ok(sealed.sign(with.session, with.kek, with.arena, text)?.to_vec()),
        }
    }

    /// The record with this key's signature in it, where its scheme needs one.
    pub(crate) fn endorse(
        &self,
        with: SigningWith<'_>,
        record: WrappedKey,
    ) -> Result<WrappedKey, UnwrapError> {
        let Some(text) = record.to_endorse() else { return Ok(record) };
        let signature = self.sign(with, &text)?;
        let endorsed = record.endorsed(&signature).filter(|record| self.endorses(record));
        let what = "the signature of a record by the checkpoint key is wrong";
        endorsed.ok_or(TokenError::protocol_violation(Function::Sign, what).into())
    }

    /// Whether this key signed the record, where its scheme needs that.
    pub(crate) fn endorses(&self, record: &WrappedKey) -> bool {
        let Some(text) = record.to_endorse() else { return true };
        let public = self.public();
        let signature = record.endorsement(public.signature_len());
        signature.is_some_and(|signature| public.verify(&text, signature))
    }

    /// The public half.
    pub(crate) fn public(&self) -> CheckpointKey {
        match &self.0 {
            Held::Token(pair) => pair.public,
            Held::Software(sealed) => CheckpointKey::Ed25519(sealed.public),
        }
    }

    /// The initialisation vector of its record, where it has one.
    pub(crate) fn record_iv(&self) -> Option<&[u8]> {
        match &self.0 {
            Held::Token(_) => None,
            Held::Software(sealed) => Some(sealed.iv()),
        }
    }

    /// What and where it is, for `init` and `doctor`.
    pub(crate) fn describe(&self) -> &'static str {
        match (&self.0, self.public()) {
            (Held::Software(_), _) => "Ed25519 in software, sealed by the token",
            (Held::Token(_), CheckpointKey::Ed25519(_)) => "Ed25519 in the token",
            (Held::Token(_), CheckpointKey::P256(_)) => "ECDSA P-256 in the token",
            (Held::Token(_), CheckpointKey::Rsa3072(_)) => "RSA-PSS with 3072 bits in the token",
        }
    }
}

/// The key that signs checkpoints: the one that the settings name, else the one that `init` made.
pub(crate) fn checkpoint_signer(
    session: &Session,
    prepared: &PreparedKeys,
    place: &Place,
    kek: &Kek,
    scheme: Scheme,
) -> Result<CheckpointSigner, OpenError> {
    let Some(label) = &prepared.checkpoint_key else {
        return Ok(CheckpointSigner::find(session, place, kek, scheme)?);
    };
    CheckpointSigner::find_prepared(session, label).map_err(|error| {
        if let CheckpointKeyError::Unfit(problem) = error {
            let cure = "pkcs11.checkpoint_key_label names it, and the HSM's administrator makes it";
            OpenError::CheckpointKey { label: label.clone(), problem: format!("{problem}; {cure}") }
        } else {
            error.into()
        }
    })
}
