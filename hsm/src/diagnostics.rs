//! What `doctor` says about a slot: the module's claims beside what the live probe found. Changes nothing in the token.

mod check;
mod host;
mod lease;
mod rehearsal;
mod report;
mod token;

use cryptoki::mechanism::{MechanismInfo, MechanismType};

use crate::arena::{Arena, Slot};
use crate::error::OpenError;
use crate::health::Findings;
use crate::pkcs11::Module;
use crate::runtime::start::{self, Prepared};
use crate::settings::{PreparedKeys, SchemeChoice, Settings};
use crate::token::anchor;
use crate::token::canary::{self, CanaryError};
use crate::token::checkpoint_key::{CheckpointSigner, checkpoint_signer};
use crate::token::connection::{LoggedInToken, finalise};
use crate::token::place::Place;
use crate::wrap::{self, EntryKind, Kek, NoScheme, Scheme, WrappedKey};

pub use check::DiagnosticCheck;
use host::host;
use lease::leases;
pub(crate) use rehearsal::rehearse;
pub use report::Diagnostics;
use report::NO_ANCHOR;
use token::{pin_state, sessions};

const PLACE: &str = "the wrapped records are in one place, and keys.location allows it";

/// See [`crate::Enclave::examine`].
pub(crate) fn examine(settings: &Settings) -> Result<Diagnostics, OpenError> {
    let Prepared { lock, credential, mut arena, module, .. } = start::prepare(settings)?;
    let login = LoggedInToken::new(&module, &settings.token, None, &credential)?;
    let examined = with_login(&module, &login, settings, &mut arena).and_then(|mut examined| {
        // Read only: a service that runs elsewhere does not learn of it.
        examined.checks.push(leases(&login.session()?, (settings, &login.info.serial), &lock)?);
        Ok(examined)
    });
    drop(login);
    finalise(&module);
    let mut examined = examined?;
    examined.checks.extend(host(arena.kind()));
    Ok(examined)
}

fn with_login(
    module: &Module,
    login: &LoggedInToken,
    settings: &Settings,
    arena: &mut Arena,
) -> Result<Diagnostics, OpenError> {
    let secret_memory = arena.kind();
    let session = login.session()?;
    let mut checks = Vec::new();
    let mut check = |what, fatal, result: Result<String, String>| {
        let (passed, found) = (result.is_ok(), result.unwrap_or_else(|found| found));
        checks.push(DiagnosticCheck { what, passed, fatal, found });
    };
    for (mechanism, what) in [
        (MechanismType::AES_KEY_GEN, "the module lists the making of AES keys"),
        (MechanismType::AES_GCM, "the module lists AES-GCM"),
    ] {
        let claim = module.mechanism(login.generation, login.info.slot, mechanism);
        let sizes =
            |info: MechanismInfo| format!("keys of {} to {} bytes", info.min_key_size(), info.max_key_size());
        let claim = claim.map(sizes).map_err(|error| error.to_string());
        check(what, false, claim);
    }
    let kek = Kek::find_labelled(&session, settings.prepared_keys.kek.as_deref());
    let found = Place::find(&session, settings, kek.as_ref().ok().map(|kek| kek.id));
    let location = found.as_ref().ok().map(Place::name);
    match &found {
        Ok(place) => check(PLACE, true, Ok(format!("in the {}", place.name()))),
        // Said below.
        Err(OpenError::CanaryMissing { .. }) => {}
        Err(error) => check(PLACE, true, Err(error.to_string())),
    }
    let place = found.unwrap_or_else(|_| Place::in_token());
    let records = &*place.records(&session);
    let canary = kek.as_ref().ok().map(|kek| canary::find(records, kek));
    let known = canary.as_ref().and_then(|canary| canary.as_ref().ok());
    let (how, probed) = probe(login, kek.as_ref().ok().zip(known), settings.scheme, arena.parts().0);
    let scheme = probed.as_ref().ok().copied();
    check(
        "a wrapping scheme opens what it sealed and nothing else",
        true,
        match probed {
            Ok(scheme) => Ok(format!("{scheme}, {how}")),
            Err(error) => Err(error.to_string()),
        },
    );
    let (mut checkpoint_key, mut checkpoint_key_kind) = (None, None);
    match kek {
        Ok(kek) => {
            check("there is one fit key-encryption key", true, Ok(hex::encode(kek.id)));
            check(
                "the token made the key-encryption key",
                false,
                match kek.made_here {
                    true => Ok("CKA_LOCAL is not false".into()),
                    false => Err("CKA_LOCAL is false: who else has the key? NSS says so of every key".into()),
                },
            );
            let canary = canary.unwrap_or(Err(CanaryError::Count(0)));
            let copied = copied(login, &kek, canary.as_ref().ok(), arena.parts().0);
            let opened = canary.as_ref().map_err(ToString::to_string).and_then(|record| {
                let opened = canary::open(&session, kek.handle, record, arena.parts().0);
                opened.map_err(|error| error.to_string())
            });
            check("the canary record is well", true, opened.map(|()| "decrypted".into()));
            check("the key-encryption key can be copied into a session", false, copied);
            if let Ok(canary) = canary {
                let signer = signing(login, (&settings.prepared_keys, &place), &kek, &canary, arena);
                checkpoint_key = signer.as_ref().ok().map(CheckpointSigner::public);
                checkpoint_key_kind = signer.as_ref().ok().map(CheckpointSigner::describe);
                let found = signer.map(|signer| signer.describe().to_owned());
                check("the checkpoint key signs", true, found.map_err(|error| error.to_string()));
            }
        }
        Err(error) => check("there is one fit key-encryption key", true, Err(error.to_string())),
    }
    let (mut keys, mut findings) = (0, Findings::default());
    wrap::scan(records, |found| match found {
        EntryKind::Key(id, record) => match *record {
            Ok(_) => keys += 1,
            Err(_) => findings.unreadable.push(id),
        },
        EntryKind::Internal => {}
        EntryKind::Incomplete => findings.incomplete += 1,
        EntryKind::Foreign => findings.foreign += 1,
    })?;
    check(
        "every record can be read",
        false,
        match findings.unreadable.len() {
            0 => Ok(format!("{keys} records")),
            count => Err(format!("{count} of {}", keys + count)),
        },
    );
    let audit_anchors = anchor::read(&session)?;
    if !place.is_token() {
        let kept = match audit_anchors.len() {
            0 => Err(NO_ANCHOR.to_owned()),
            count => Ok(format!("{count} objects")),
        };
        check("the token keeps the newest checkpoint of the audit log", false, kept);
    }
    Ok(Diagnostics {
        library: module.description(login.generation)?,
        token_label: login.info.label.clone(),
        token_serial: login.info.serial.clone(),
        pin: pin_state(&login.info.info),
        sessions: sessions(module, login),
        scheme: scheme.map(Scheme::name),
        variant: scheme.map(Scheme::variant),
        location,
        secret_memory,
        keys,
        findings,
        audit_anchors,
        checkpoint_key,
        checkpoint_key_kind,
        checks,
    })
}

/// The scheme that works, and the key that it was probed with: the key-encryption key and its own scheme where there
/// is one and session keys do not do.
fn probe(
    login: &LoggedInToken,
    own: Option<(&Kek, &WrappedKey)>,
    choice: SchemeChoice,
    slot: &mut Slot,
) -> (&'static str, Result<Scheme, NoScheme>) {
    let schemes = own.map_or_else(|| Scheme::admitted(choice), |(_, canary)| vec![canary.header.scheme]);
    let probed = wrap::probe_session_key(&schemes, || login.session(), slot);
    match (probed, own) {
        (Err(refused), Some((kek, _))) if refused.blames_session_keys() => {
            let probed = wrap::probe_key(&schemes, || login.session(), kek.handle, slot);
            ("probed with the key-encryption key, for session keys do not do", probed)
        }
        (probed, _) => ("probed with a session key", probed),
    }
}

/// The checkpoint key, which has just signed, and has signed the canary record where that is needed.
fn signing(
    login: &LoggedInToken,
    (prepared, place): (&PreparedKeys, &Place),
    kek: &Kek,
    canary: &WrappedKey,
    arena: &mut Arena,
) -> Result<CheckpointSigner, OpenError> {
    let signer = checkpoint_signer(&login.session()?, prepared, place, kek, canary.header.scheme)?;
    signer.prove(&|| login.session(), kek, arena)?;
    if signer.endorses(canary) { Ok(signer) } else { Err(CanaryError::Unendorsed.into()) }
}

/// Whether other sessions can use a session's copy of the key-encryption key.
fn copied(
    login: &LoggedInToken,
    kek: &Kek,
    canary: Option<&WrappedKey>,
    slot: &mut Slot,
) -> Result<String, String> {
    let holder = login.session().map_err(|error| error.to_string())?;
    let copy = kek.session_copy(&holder).map_err(|error| error.to_string())?;
    if copy == kek.handle {
        return Err("the token refuses; its own object is used, which is slower in SoftHSM".into());
    }
    let Some(canary) = canary else { return Ok("not tried: there is no canary record".into()) };
    let opened =
        login.session().map_err(Into::into).and_then(|other| canary::open(&other, copy, canary, slot));
    match opened {
        Ok(()) => Ok("each use costs no file access".into()),
        Err(error) => Err(format!("no other session can use it ({error}); the token's own object is used")),
    }
}
