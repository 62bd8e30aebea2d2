//! Initialising a token: what `init` makes in it, and in which order.

use super::start::{Prepared, prepare};
use crate::arena::{Arena, Slot};
use crate::error::OpenError;
use crate::labels::{ANCHOR_LABEL, CANARY_LABEL, KEK_LABEL};
use crate::pkcs11::Session;
use crate::records::{Records, RecordsError};
use crate::settings::{SchemeChoice, Settings};
use crate::token::anchor;
use crate::token::canary::{self, CanaryError};
use crate::token::checkpoint_key::{CheckpointSigner, checkpoint_signer};
use crate::token::connection::{LoggedInToken, finalise};
use crate::token::init_records::InitRecords;
use crate::token::place::Place;
use crate::token::store_key::{self, StoreKey};
use crate::wrap::{self, EntryKind, Kek, KekError, NoScheme, Scheme};

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

/// See [`crate::Enclave::initialise`] and [`crate::Enclave::adopt`].
pub(crate) fn initialise(settings: &Settings, adopt: bool) -> Result<Initialised, OpenError> {
    let Prepared { lock: _lock, memory, credential, mut arena, module } = prepare(settings)?;
    let login = LoggedInToken::new(&module, &settings.token, None, &credential)?;
    let made = make_keys(&login, &mut arena, settings, adopt).and_then(|(kek, scheme, place, signer)| {
        let session = login.session()?;
        let records = place.records(&session);
        let store_key = store_key::open(&session, &*records, &kek, scheme, &signer, arena.parts().0, memory)?;
        Ok((kek, scheme, place.name(), signer.describe(), store_key))
    });
    drop(login.holder);
    finalise(&module);
    let (kek, scheme, location, checkpoint_key, store_key) = made?;
    let report = InitReport {
        token_label: login.info.label,
        token_serial: login.info.serial,
        kek_label: settings.prepared_keys.kek.clone().unwrap_or_else(|| KEK_LABEL.to_owned()),
        kek_id: hex::encode(kek.id),
        scheme: scheme.name(),
        variant: scheme.variant(),
        checkpoint_key,
        location,
        installation: hex::encode(store_key.installation()),
    };
    Ok(Initialised { report, store_key })
}

/// Key-encryption key, checkpoint key, store key, canary, in this order, once the place of the records is known. What an
/// interrupted init has made is kept, as long as there is no wrapped key. The canary marks the end of init.
fn make_keys(
    login: &LoggedInToken,
    arena: &mut Arena,
    settings: &Settings,
    adopt: bool,
) -> Result<(Kek, Scheme, Place, CheckpointSigner), OpenError> {
    let session = login.session()?;
    let prepared = &settings.prepared_keys;
    let place = Place::choose(&session, settings)?;
    let records = &*place.records(&session);
    let found = match Kek::find_labelled(&session, prepared.kek.as_deref()) {
        Ok(kek) => Some(kek),
        Err(KekError::Missing { prepared: false, .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let already = |found: &str| Err(OpenError::AlreadyInitialised { found: found.to_owned() });
    let planted = canary::exists(records)?;
    if planted && !(adopt && found.is_some()) {
        return already(CANARY_LABEL);
    }
    // The records of another installation may be in its store: its key-encryption key is not taken unasked.
    if !planted && !adopt && found.is_some() && prepared.kek.is_none() && !place.is_token() {
        return already(KEK_LABEL);
    }
    if !planted && !adopt && !anchor::read(&session)?.is_empty() {
        return already(ANCHOR_LABEL);
    }
    match keys(records)? {
        0 => {}
        count => return already(&format!("{count} wrapped keys")),
    }
    let slot = arena.parts().0;
    let (kek, scheme) = match found {
        Some(kek) => {
            match prepared.kek {
                Some(_) => tracing::info!("the HSM's administrator made the key-encryption key"),
                None => tracing::warn!("continuing with what an earlier init left in the token"),
            }
            let schemes = schemes_of(records, &kek, planted, settings.scheme)?;
            (kek, wrap::probe_key(&schemes, || login.session(), kek.handle, slot)?)
        }
        None => new_kek(login, &session, settings.scheme, slot)?,
    };
    let another = || login.session();
    let signer = if prepared.checkpoint_key.is_some() {
        let signer = checkpoint_signer(&session, prepared, &place, &kek, scheme)?;
        signer.prove(&another, &kek, arena)?;
        signer
    } else {
        CheckpointSigner::find_or_make(&another, &place, &kek, scheme, arena)?
    };
    let with =
        InitRecords { session: &session, another: &another, records, kek: &kek, scheme, signer: &signer };
    if !store_key::exists(records)? {
        store_key::create(&with, arena)?;
    }
    if planted {
        let record = canary::find(records, &kek)?;
        canary::open(&session, kek.handle, &record, arena.parts().0)?;
        if !signer.endorses(&record) {
            return Err(CanaryError::Unendorsed.into());
        }
    } else {
        canary::create(&with, arena)?;
    }
    if let Some(layout) = &settings.softhsm {
        let synced = std::fs::File::open(&layout.tokens).and_then(|opened| Ok(rustix::fs::syncfs(&opened)?));
        synced.map_err(|source| OpenError::Host { what: "the token directory was not synced", source })?;
    }
    Ok((kek, scheme, place, signer))
}

fn keys(records: &dyn Records) -> Result<usize, RecordsError> {
    let mut count = 0;
    wrap::scan(records, |entry| count += usize::from(matches!(entry, EntryKind::Key(..))))?;
    Ok(count)
}

/// The schemes that a key-encryption key of an earlier init may have: that of its records, where it made any.
pub(crate) fn schemes_of(
    records: &dyn Records,
    kek: &Kek,
    planted: bool,
    choice: SchemeChoice,
) -> Result<Vec<Scheme>, OpenError> {
    let made = if planted {
        Some(canary::find(records, kek)?.header.scheme)
    } else if store_key::exists(records)? {
        Some(store_key::find(records, kek)?.header.scheme)
    } else {
        None
    };
    match made {
        Some(scheme) if scheme.is_admitted(choice) => Ok(vec![scheme]),
        Some(scheme) => Err(OpenError::SchemeRefused { found: scheme.to_string() }),
        None => {
            let of_its_kind = |scheme: &Scheme| scheme.kek_kind() == kek.kind;
            Ok(Scheme::admitted(choice).into_iter().filter(of_its_kind).collect())
        }
    }
}

/// A key-encryption key of the kind that the first working scheme needs. Where session keys cannot be probed with, the
/// key is made first, and destroyed again if nothing works with it.
pub(crate) fn new_kek(
    login: &LoggedInToken,
    session: &Session,
    choice: SchemeChoice,
    slot: &mut Slot,
) -> Result<(Kek, Scheme), OpenError> {
    let all = Scheme::admitted(choice);
    let mut refused = match wrap::probe_session_key(&all, || login.session(), slot) {
        Ok(scheme) => return Ok((Kek::generate(session, scheme.kek_kind())?, scheme)),
        Err(refused) if !refused.blames_session_keys() => return Err(refused.into()),
        Err(refused) => refused,
    };
    tracing::info!("session keys cannot be probed with; the key-encryption key itself is");
    for schemes in all.chunk_by(|one, next| one.kek_kind() == next.kek_kind()) {
        let Some(first) = schemes.first() else { continue };
        let kek = match Kek::generate(session, first.kek_kind()) {
            Ok(kek) => kek,
            Err(KekError::Token(error)) => {
                refused = refused.and(NoScheme::no_key(*first, error));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match wrap::probe_key(schemes, || login.session(), kek.handle, slot) {
            Ok(scheme) => return Ok((kek, scheme)),
            Err(also) => {
                session.destroy(kek.handle)?;
                refused = refused.and(also);
            }
        }
    }
    Err(refused.into())
}
