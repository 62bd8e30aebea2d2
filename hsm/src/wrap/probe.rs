//! Live probe of a scheme. That a mechanism is listed proves nothing: SoftHSM lists an OAEP that ignores its label,
//! other tokens list what always fails.

use std::fmt;

use cryptoki::object::ObjectHandle;

use super::kek::{KekKind, Lifetime};
use super::record::{Header, Payload, WrappedKey};
use super::scheme::{PLAIN_LEN, Scheme, SealError};
use super::sealing::{open, seal_known};
use crate::arena::Slot;
use crate::key::{KeyId, StoredName};
use crate::pkcs11::{Session, TokenError, expecting_refusal};

/// Why a token cannot be trusted with records of a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("its encryption failed: {0}")]
    Token(#[from] TokenError),
    #[error("it makes no session key: {0}")]
    NoSessionKey(TokenError),
    #[error("it makes no key: {0}")]
    NoKey(TokenError),
    #[error("its encryption does not give back what was sealed")]
    RoundTrip,
    #[error("its encryption opens a record under another header: records could be swapped")]
    IgnoresHeader,
    #[error("its encryption opens a changed ciphertext")]
    IgnoresTag,
    #[error("its encryption opens a record under another initialisation vector or salt")]
    IgnoresIv,
    #[error("in its encryption {0}")]
    Iv(&'static str),
    #[error("its encryption uses an initialisation vector twice")]
    RepeatedIv,
}

/// No scheme works, with the reason of each that was tried.
#[derive(Debug)]
pub(crate) struct NoScheme(Vec<(Scheme, ProbeError)>);

impl NoScheme {
    /// Whether a key of the token may work where a session key did not: session keys are refused, or no other session
    /// sees them.
    pub(crate) fn blames_session_keys(&self) -> bool {
        let blames = |error: &ProbeError| {
            matches!(error, ProbeError::NoSessionKey(_))
                || matches!(error, ProbeError::Token(error) if error.is_unknown_handle())
        };
        self.0.iter().any(|(_, error)| blames(error))
    }

    /// Both, as one report.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// No key of the kind that the scheme needs could be made.
    pub(crate) fn no_key(scheme: Scheme, error: TokenError) -> Self {
        Self(vec![(scheme, ProbeError::NoKey(error))])
    }
}

impl fmt::Display for NoScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no wrapping scheme works with it")?;
        for (at, (scheme, error)) in self.0.iter().enumerate() {
            write!(f, "{} {scheme}: {error}", if at == 0 { ':' } else { ';' })?;
        }
        Ok(())
    }
}

impl std::error::Error for NoScheme {}

/// Begins and ends with zeros, which some tokens cut off.
const VECTOR: &[u8; PLAIN_LEN] = b"\0\0probe: a public text, 32 B.\0\0\0";

/// Seals a known text and demands that it opens, and that nothing else does. `session` gives a new one each time, because a
/// refusal may spoil one.
pub(crate) fn probe(
    scheme: Scheme,
    session: impl Fn() -> Result<Session, TokenError>,
    key: ObjectHandle,
    slot: &mut Slot,
) -> Result<(), ProbeError> {
    let header = Header {
        scheme,
        kek: [1; 16],
        key: KeyId::from_bytes([2; 16]),
        owner: [3; 20],
        version: 4,
        name: StoredName::CANARY,
        created: 5,
        payload: Payload::Canary,
    };
    let seal = |slot: &mut Slot| {
        seal_known(&session()?, key, header, VECTOR, slot).map_err(|error| match error {
            SealError::Token(error) => error.into(),
            SealError::Iv(what) => ProbeError::Iv(what),
            SealError::Random(_) | SealError::Length(_) => ProbeError::RoundTrip,
        })
    };
    let record = seal(slot)?;
    let second = seal(slot)?;
    if scheme.has_iv() && second.iv() == record.iv() {
        return Err(ProbeError::RepeatedIv);
    }
    match open(&session()?, key, &record, slot) {
        Ok(opened) if opened.holds(VECTOR) => {}
        Ok(_) => return Err(ProbeError::RoundTrip),
        Err(error) => return Err(error.as_token_error().into()),
    }
    let swapped = Header { owner: [6; 20], ..header };
    let opens = |header, iv: &[u8], sealed: &[u8], slot: &mut Slot| {
        let changed = WrappedKey::new(header, iv, sealed).ok_or(ProbeError::RoundTrip)?;
        let fresh = session()?;
        Ok::<_, ProbeError>(expecting_refusal(|| open(&fresh, key, &changed, slot)).is_ok())
    };
    if opens(swapped, record.iv(), record.sealed(), slot)? {
        return Err(ProbeError::IgnoresHeader);
    }
    let mut sealed = record.sealed().to_vec();
    if let Some(first) = sealed.first_mut() {
        *first ^= 1;
    }
    if opens(header, record.iv(), &sealed, slot)? {
        return Err(ProbeError::IgnoresTag);
    }
    if scheme.has_iv() && opens(header, second.iv(), record.sealed(), slot)? {
        return Err(ProbeError::IgnoresIv);
    }
    Ok(())
}

/// The first of these schemes that works with this key.
pub(crate) fn probe_key(
    schemes: &[Scheme],
    session: impl Fn() -> Result<Session, TokenError>,
    key: ObjectHandle,
    slot: &mut Slot,
) -> Result<Scheme, NoScheme> {
    first(schemes, |scheme| probe(scheme, &session, key, slot))
}

/// The first of these schemes that works with a key that lives as long as the probe, of the kind that a key-encryption
/// key is. Every other session must be able to use it.
pub(crate) fn probe_session_key(
    schemes: &[Scheme],
    session: impl Fn() -> Result<Session, TokenError>,
    slot: &mut Slot,
) -> Result<Scheme, NoScheme> {
    let mut owner = None;
    let mut made: Vec<(KekKind, ObjectHandle)> = Vec::new();
    // Once a session key was refused, a later kind that has one would be taken before an earlier one in the token.
    let mut blamed = None;
    let found = first(schemes, |scheme| {
        if let Some(error) = blamed {
            return Err(ProbeError::NoSessionKey(error));
        }
        let kind = scheme.kek_kind();
        let owner = match &owner {
            Some(owner) => owner,
            None => owner.insert(session()?),
        };
        let key = match made.iter().find(|(of, _)| *of == kind) {
            Some((_, key)) => *key,
            None => {
                let key = kind.generate(owner, Lifetime::Session).map_err(|error| {
                    blamed = Some(error);
                    ProbeError::NoSessionKey(error)
                })?;
                made.push((kind, key));
                key
            }
        };
        let probed = probe(scheme, &session, key, slot);
        if let Err(ProbeError::Token(error)) = &probed
            && error.is_unknown_handle()
        {
            blamed = Some(*error);
        }
        probed
    });
    if let Some(owner) = owner {
        for (_, key) in made {
            if let Err(error) = owner.destroy(key) {
                tracing::warn!(%error, "the probe's session key was not destroyed; it dies with its session");
            }
        }
    }
    found
}

fn first(
    schemes: &[Scheme],
    mut works: impl FnMut(Scheme) -> Result<(), ProbeError>,
) -> Result<Scheme, NoScheme> {
    let mut refused = Vec::new();
    for scheme in schemes {
        match works(*scheme) {
            Ok(()) => return Ok(*scheme),
            Err(error) => {
                tracing::info!(%scheme, %error, "a wrapping scheme does not work with this token");
                refused.push((*scheme, error));
            }
        }
    }
    Err(NoScheme(refused))
}
