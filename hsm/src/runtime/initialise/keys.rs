//! Making the keys of an installation: key-encryption key, checkpoint key, store key, canary record. Not for looking
//! what is there before, and not for destroying them.

use super::before::Before;
use super::progress::Progress;
use crate::arena::{Arena, Slot};
use crate::error::OpenError;
use crate::key::InitIds;
use crate::labels::KEK_LABEL;
use crate::pkcs11::{Session, TokenError};
use crate::records::Records;
use crate::settings::{PreparedKeys, SchemeChoice, Settings};
use crate::token::canary::{self, CanaryError};
use crate::token::checkpoint_key::{CheckpointSigner, checkpoint_signer};
use crate::token::connection::LoggedInToken;
use crate::token::init_records::InitRecords;
use crate::token::place::Place;
use crate::token::store_key;
use crate::wrap::{self, Kek, KekError, NoScheme, Scheme};

/// What there is afterwards.
pub(crate) struct InstallationKeys {
    pub(crate) kek: Kek,
    pub(crate) scheme: Scheme,
    pub(crate) place: Place,
    pub(crate) signer: CheckpointSigner,
}

/// The same in words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described {
    pub(crate) scheme: &'static str,
    pub(crate) variant: &'static str,
    pub(crate) location: &'static str,
    pub(crate) checkpoint_key: &'static str,
}

impl InstallationKeys {
    pub(crate) fn describe(&self) -> Described {
        Described {
            scheme: self.scheme.name(),
            variant: self.scheme.variant(),
            location: self.place.name(),
            checkpoint_key: self.signer.describe(),
        }
    }
}

/// Key-encryption key, checkpoint key, store key, canary, in this order. What an interrupted init has made is kept. The
/// canary marks the end of init.
pub(crate) fn make_keys(
    login: &LoggedInToken,
    arena: &mut Arena,
    settings: &Settings,
    before: Before,
    ids: InitIds,
    progress: &mut Progress,
) -> Result<InstallationKeys, OpenError> {
    let Before { place, kek: found, planted } = before;
    let session = login.session()?;
    let prepared = &settings.prepared_keys;
    let records = &*place.records(&session);
    let slot = arena.parts().0;
    progress.begin("a wrapping scheme works, with a key-encryption key in the token");
    let (kek, scheme) = match found {
        Some(kek) => {
            match prepared.kek {
                Some(_) => tracing::info!("the HSM's administrator made the key-encryption key"),
                None => tracing::warn!("continuing with what an earlier init left in the token"),
            }
            let schemes = schemes_of(records, &kek, planted, settings.scheme)?;
            (kek, wrap::probe_key(&schemes, || login.session(), kek.handle, slot)?)
        }
        None => {
            let label = place.naming.label(KEK_LABEL);
            new_kek(login, &session, settings.scheme, (&label, ids.kek), slot)?
        }
    };
    progress.end(scheme.to_string());
    progress.begin("a checkpoint key signs");
    let another = || login.session();
    let signer = proven_signer(&another, prepared, (&place, &kek, scheme), ids, arena)?;
    progress.end(signer.describe());
    progress.begin("the store key and the canary record are stored and open again");
    let with = InitRecords {
        session: &session,
        another: &another,
        records,
        kek: &kek,
        scheme,
        ids,
        signer: &signer,
    };
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
    sync_token(settings)?;
    progress.end(format!("in the {}", place.name()));
    Ok(InstallationKeys { kek, scheme, place, signer })
}

/// SoftHSM never syncs: what was made must be on the disk before something is built on it.
pub(crate) fn sync_token(settings: &Settings) -> Result<(), OpenError> {
    let Some(layout) = &settings.softhsm else { return Ok(()) };
    let synced = trusted_files::sync_file_system(&layout.tokens);
    synced.map_err(|source| OpenError::Host { what: "the token directory was not synced", source })
}

/// The checkpoint key that the settings name, else the one that is there, else a new one; it has signed.
pub(crate) fn proven_signer(
    another: &dyn Fn() -> Result<Session, TokenError>,
    prepared: &PreparedKeys,
    (place, kek, scheme): (&Place, &Kek, Scheme),
    ids: InitIds,
    arena: &mut Arena,
) -> Result<CheckpointSigner, OpenError> {
    if prepared.checkpoint_key.is_none() {
        return Ok(CheckpointSigner::find_or_make(another, place, kek, scheme, ids, arena)?);
    }
    let signer = checkpoint_signer(&another()?, prepared, place, kek, scheme)?;
    signer.prove(another, kek, arena)?;
    Ok(signer)
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
    (label, id): (&str, [u8; 16]),
    slot: &mut Slot,
) -> Result<(Kek, Scheme), OpenError> {
    let all = Scheme::admitted(choice);
    let mut refused = match wrap::probe_session_key(&all, || login.session(), slot) {
        Ok(scheme) => return Ok((Kek::generate(session, scheme.kek_kind(), label, id)?, scheme)),
        Err(refused) if !refused.blames_session_keys() => return Err(refused.into()),
        Err(refused) => refused,
    };
    tracing::info!("session keys cannot be probed with; the key-encryption key itself is");
    for schemes in all.chunk_by(|one, next| one.kek_kind() == next.kek_kind()) {
        let Some(first) = schemes.first() else { continue };
        let kek = match Kek::generate(session, first.kek_kind(), label, id) {
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
