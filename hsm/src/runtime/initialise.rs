//! Initialising a token: what `init` makes in it, in which order, and that a failure leaves nothing of it. A rehearsal
//! does the same under labels of its own.

pub(crate) mod before;
pub(crate) mod keys;
pub(crate) mod made;
pub(crate) mod progress;
pub(crate) mod rehearsal;

use self::before::look;
use self::keys::{InstallationKeys, make_keys};
use self::made::Anchors;
use self::progress::Progress;
use super::start::{Prepared, prepare};
use crate::arena::Arena;
use crate::error::OpenError;
use crate::key::{InitIds, KeyId};
use crate::labels::KEK_LABEL;
use crate::settings::Settings;
use crate::token::connection::{LoggedInToken, finalise};
use crate::token::store_key::{self, StoreKey};

/// What `init` made in the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitReport {
    /// Label of the token.
    pub token_label: String,
    /// Serial number of the token.
    pub token_serial: String,
    /// Label of the key-encryption key.
    pub kek_label: String,
    /// Its `CKA_ID`, 32 hex digits.
    pub kek_id: String,
    /// The wrapping scheme that works with this token and that every record has, for example `S1`.
    pub scheme: &'static str,
    /// Its variant; for S1 who chooses the initialisation vector.
    pub variant: &'static str,
    /// What the checkpoint key is, and where.
    pub checkpoint_key: &'static str,
    /// Where the wrapped records are: `token` or `store`.
    pub location: &'static str,
    /// Id of this installation, 32 hex digits.
    pub installation: String,
}

/// What `init` gives: what it made, and the key that the new store is authenticated with.
#[derive(Debug)]
pub struct Initialised {
    /// What was made.
    pub report: InitReport,
    /// Authenticates the rows of the store.
    pub store_key: StoreKey,
}

/// One attempt at an `init`, that of a command which may be repeated.
#[derive(Clone, Copy, Debug)]
pub struct InitAttempt {
    /// The id that the installation gets. All that the attempt makes carries it, so that a repetition finds what an
    /// attempt left that was killed.
    pub installation: KeyId,
    /// Take over a token that is initialised and holds no key yet.
    pub adopt: bool,
}

impl InitAttempt {
    /// What becomes of anchors when it is undone: a token that was taken over may have had some.
    const fn anchors(self) -> Anchors {
        if self.adopt { Anchors::Keep } else { Anchors::Destroy }
    }
}

/// See [`crate::Enclave::initialise`].
pub(crate) fn initialise(settings: &Settings, attempt: InitAttempt) -> Result<Initialised, OpenError> {
    let Prepared { lock: _lock, memory, credential, mut arena, module } = prepare(settings)?;
    let ids = InitIds::of(attempt.installation);
    let login = LoggedInToken::new(&module, &settings.token, None, &credential)?;
    let made = in_token(&login, &mut arena, settings, attempt, ids).and_then(|keys| {
        let mut open = || {
            let session = login.session()?;
            let records = keys.place.records(&session);
            let (slot, signer) = (arena.parts().0, &keys.signer);
            store_key::open(&session, &*records, &keys.kek, keys.scheme, signer, slot, memory)
        };
        let opened = open().map_err(|error| made::after_failure(&login, settings, ids, error));
        opened.map(|store_key| (keys.kek.id, keys.describe(), store_key))
    });
    drop(login.holder);
    finalise(&module);
    let (kek_id, described, store_key) = made?;
    let report = InitReport {
        token_label: login.info.label,
        token_serial: login.info.serial,
        kek_label: settings.prepared_keys.kek.clone().unwrap_or_else(|| KEK_LABEL.to_owned()),
        kek_id: hex::encode(kek_id),
        scheme: described.scheme,
        variant: described.variant,
        checkpoint_key: described.checkpoint_key,
        location: described.location,
        installation: hex::encode(store_key.installation()),
    };
    Ok(Initialised { report, store_key })
}

/// Makes the keys. A failure destroys what was made.
fn in_token(
    login: &LoggedInToken,
    arena: &mut Arena,
    settings: &Settings,
    attempt: InitAttempt,
    ids: InitIds,
) -> Result<InstallationKeys, OpenError> {
    let session = login.session()?;
    made::remove_rehearsal(&session)?;
    if made::destroy(&session, settings, ids, attempt.anchors())? > 0 {
        tracing::warn!("an earlier init of this installation was interrupted; what it left is destroyed");
    }
    let before = look(&session, settings, attempt.adopt)?;
    drop(session);
    make_keys(login, arena, settings, before, ids, &mut Progress::default())
        .map_err(|error| made::after_failure(login, settings, ids, error))
}

/// See [`crate::Enclave::undo_init`].
pub(crate) fn undo(settings: &Settings, attempt: InitAttempt) -> Result<usize, OpenError> {
    let Prepared { lock: _lock, credential, module, .. } = prepare(settings)?;
    let login = LoggedInToken::new(&module, &settings.token, None, &credential)?;
    let undo = || {
        let session = login.session()?;
        made::destroy(&session, settings, InitIds::of(attempt.installation), attempt.anchors())
    };
    let destroyed = undo();
    drop(login.holder);
    finalise(&module);
    destroyed
}
