//! Rehearsal of an `init`: the same steps under labels of their own, what else the service will need, and nothing left
//! behind. Not for the report.

use super::before::{Before, look};
use super::keys::{Described, InstallationKeys, make_keys};
use super::made;
use super::progress::Progress;
use crate::arena::Arena;
use crate::clock::unix_seconds;
use crate::error::OpenError;
use crate::key::{InitIds, KeyId, PublicKey, StoredName};
use crate::pkcs11::{Function, TokenError};
use crate::runtime::sessions::workers_granted;
use crate::settings::Settings;
use crate::token::checkpoint_key::SigningWith;
use crate::token::connection::LoggedInToken;
use crate::wrap::{self, GenerateError, Header, Payload, SealError, UnwrapError, UnwrappedScalar};
use bn254_ct::{G1Point, G2Point};

/// What came of it.
pub(crate) struct Rehearsed {
    /// Done, in order; the step that failed is the current one.
    pub(crate) progress: Progress,
    /// What `init` would choose, or why it would fail.
    pub(crate) outcome: Result<Planned, OpenError>,
    /// The number of objects that were destroyed, or why some may be left.
    pub(crate) removed: Result<usize, OpenError>,
}

/// What `init` would choose.
pub(crate) struct Planned {
    pub(crate) described: Described,
    /// Whether the token would keep the audit log's anchor.
    pub(crate) keeps_anchors: bool,
}

/// Tries all of it. `own` is the id of an `init` that was interrupted: what it left does not count.
pub(crate) fn rehearse(
    login: &LoggedInToken,
    arena: &mut Arena,
    settings: &Settings,
    own: Option<KeyId>,
) -> Rehearsed {
    let mut progress = Progress::default();
    progress.begin("the token is free for init");
    let remove = || login.session().map_err(OpenError::from).and_then(|it| made::remove_rehearsal(&it));
    // What a rehearsal left that was killed.
    let outcome = remove().and_then(|_| steps(login, arena, settings, own, &mut progress));
    Rehearsed { progress, outcome, removed: remove() }
}

fn steps(
    login: &LoggedInToken,
    arena: &mut Arena,
    settings: &Settings,
    own: Option<KeyId>,
    progress: &mut Progress,
) -> Result<Planned, OpenError> {
    let session = login.session()?;
    let interrupted = match own.map(InitIds::of) {
        Some(ids) => made::count(&session, ids)?,
        None => 0,
    };
    // What is there of that init is destroyed by the next, and says nothing.
    let before = look(&session, settings, interrupted > 0)?;
    progress.end(match interrupted {
        0 => "it holds no installation".to_owned(),
        count => format!("init destroys {count} objects of one that was interrupted"),
    });
    let kek = before.kek.filter(|_| settings.prepared_keys.kek.is_some());
    let before = Before { place: before.place.rehearsing(), kek, planted: false };
    let ids = InitIds::of(KeyId::random()?);
    drop(session);
    let keys = make_keys(login, arena, settings, before, ids, progress)?;
    progress.begin("a scalar that was wrapped unwraps to itself");
    scalar(login, arena, &keys)?;
    progress.end("its product with the generator is its public key");
    progress.begin("the token grants the sessions of the service");
    let workers = workers_granted(|| login.session(), settings.workers)?;
    progress.end(match workers == settings.workers {
        true => format!("of {workers} workers"),
        false => format!("of {workers} workers; enclave.workers is {}", settings.workers),
    });
    progress.begin("the token can be asked for data objects");
    let keeps_anchors = keys.place.keeps_anchors(&login.session()?)?;
    Ok(Planned { described: keys.describe(), keeps_anchors })
}

/// A fresh scalar, wrapped as that of a key is, unwrapped in another session.
fn scalar(login: &LoggedInToken, arena: &mut Arena, keys: &InstallationKeys) -> Result<(), OpenError> {
    let violation = |function, what| OpenError::from(TokenError::protocol_violation(function, what));
    let session = login.session()?;
    let (slot, stack) = arena.parts();
    let mut fresh = UnwrappedScalar::generate(&session, slot, stack).map_err(|error| match error {
        GenerateError::Token(error) => OpenError::from(error),
        GenerateError::Random(error) => error.into(),
        GenerateError::Exhausted => violation(Function::GenerateRandom, "its bytes are no scalar 128 times"),
    })?;
    let wrong = || violation(Function::Decrypt, "the scalar is another one");
    let (g1, g2) = fresh.public_keys(stack).map_err(|_| wrong())?;
    let public_key = PublicKey {
        g1: G1Point::from_bytes(&g1).map_err(|_| wrong())?,
        g2: G2Point::from_bytes(&g2).map_err(|_| wrong())?,
    };
    let header = Header {
        scheme: keys.scheme,
        kek: keys.kek.id,
        key: KeyId::random()?,
        owner: [0; 20],
        version: 1,
        name: StoredName::CANARY,
        created: unix_seconds(),
        payload: Payload::Scalar(public_key),
    };
    let sealed =
        wrap::seal(&session, keys.kek.handle, header, &mut fresh).map_err(SealError::into_token_error);
    drop(fresh);
    let record = sealed.map_err(|error| match error {
        Ok(error) => OpenError::from(error),
        Err(error) => error.into(),
    })?;
    let another = || login.session();
    let with = SigningWith { session: &session, another: &another, kek: keys.kek.handle, arena };
    let record = keys.signer.endorse(with, record).map_err(UnwrapError::as_token_error)?;
    let (slot, stack) = arena.parts();
    let opened = wrap::open(&login.session()?, keys.kek.handle, &record, slot);
    let mut opened = opened.map_err(UnwrapError::as_token_error)?;
    match opened.belongs_to(stack, &public_key.g1) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(wrong()),
    }
}
