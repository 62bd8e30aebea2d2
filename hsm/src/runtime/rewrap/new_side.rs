//! The new side of a move: its key-encryption key, checkpoint key and place, found or made. Not for its records.

use std::collections::HashSet;

use super::error::RewrapError;
use super::side::Side;
use crate::arena::Arena;
use crate::error::OpenError;
use crate::key::{InitIds, KeyId};
use crate::labels::KEK_LABEL;
use crate::pkcs11::Session;
use crate::runtime::initialise::before::keys;
use crate::runtime::initialise::keys::{new_kek, proven_signer, schemes_of};
use crate::token::anchor;
use crate::token::canary;
use crate::token::checkpoint_key::{CheckpointKey, CheckpointSigner};
use crate::token::connection::TokenConnection;
use crate::token::place::Place;
use crate::token::store_key;
use crate::wrap::{self, Kek, KekError, Scheme};

const SAME_KEK: &str = "both configurations name one key-encryption key, so there is nothing to move: name another token, or \
                        in pkcs11.kek_label another key that the HSM's administrator made in this one";
const SAME_CHECKPOINT_KEY: &str = "both configurations name one checkpoint key, and the old one must sign the new one: name \
                                   in pkcs11.checkpoint_key_label another key pair that the HSM's administrator made";

/// What a move asks its caller.
pub trait RewrapCaller {
    /// Whether the checkpoint key of the new side may sign; asked before any key is sealed.
    ///
    /// # Errors
    /// Why not, and what to do: nothing is moved.
    fn accept_key(&self, key: &CheckpointKey) -> Result<(), String>;

    /// Whether a key may be destroyed on the new side that an earlier attempt brought there and the old side lacks.
    fn is_gone(&self, key: KeyId) -> bool;

    /// Takes how many of how many keys are done.
    fn progress(&self, done: usize, all: usize);
}

/// The keys of the new side, and how its records are stored.
pub(super) struct NewSide<'a> {
    pub(super) side: &'a Side,
    pub(super) session: Session,
    pub(super) kek: Kek,
    pub(super) scheme: Scheme,
    pub(super) place: Place,
    pub(super) signer: CheckpointSigner,
    /// That new objects carry.
    pub(super) ids: InitIds,
    /// Initialisation vectors under the new key-encryption key.
    pub(super) ivs: HashSet<Box<[u8]>>,
}

impl<'a> NewSide<'a> {
    /// Finds what an earlier attempt made, and makes what is missing: key-encryption key, then checkpoint key.
    pub(super) fn make(
        (old_side, side): (&Side, &'a Side),
        old: &TokenConnection,
        installation: KeyId,
        caller: &dyn RewrapCaller,
        arena: &mut Arena,
    ) -> Result<Self, RewrapError> {
        let (session, settings) = (side.session()?, &side.settings);
        // Not those of the installation, which the keys of the old side may have.
        let ids = InitIds::of(KeyId::random().map_err(OpenError::from)?);
        let prepared = &settings.prepared_keys;
        let one_token = side.is_in_token_of(old_side);
        let found = match Kek::find_labelled(&session, prepared.kek.as_deref()) {
            Ok(kek) if one_token && kek.id == old.kek.id => return Err(refused(SAME_KEK)),
            Ok(kek) => Some(kek),
            Err(KekError::Missing { prepared: false, .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let place_of = |kek: &Kek| Place::choose_for(&session, settings, kek.id);
        let found = found.map(|kek| Ok::<_, OpenError>((kek, place_of(&kek)?))).transpose()?;
        let is_ours = match &found {
            Some((kek, place)) => is_of((&session, place), kek, installation)?,
            None => false,
        };
        if !one_token && !is_ours {
            refuse_what_exists(&session)?;
        }
        let (kek, scheme, place) = match found {
            Some((kek, place)) => {
                let records = &*place.records(&session);
                let planted = canary::exists(records)?;
                let schemes = schemes_of(records, &kek, planted, settings.scheme)?;
                let slot = arena.parts().0;
                let scheme = wrap::probe_key(&schemes, || side.session(), kek.handle, slot)
                    .map_err(OpenError::from)?;
                (kek, scheme, place)
            }
            None => {
                let slot = arena.parts().0;
                let named = (KEK_LABEL, ids.kek);
                let (kek, scheme) = new_kek(&side.login()?, &session, settings.scheme, named, slot)?;
                let place = place_of(&kek)?;
                (kek, scheme, place)
            }
        };
        let another = || side.session();
        if prepared.checkpoint_key.is_none() {
            // An empty token, or one that this installation began to use: nothing else has made a half.
            CheckpointSigner::remove_half(&session)?;
        }
        let signer = proven_signer(&another, prepared, (&place, &kek, scheme), ids, arena)?;
        if signer.public() == old.checkpoint_signer.public() {
            return Err(refused(SAME_CHECKPOINT_KEY));
        }
        caller.accept_key(&signer.public()).map_err(RewrapError::Refused)?;
        side.sync()?;
        Ok(Self { side, session, kek, scheme, place, signer, ids, ivs: HashSet::new() })
    }
}

/// Whether the store key that is there under this key-encryption key is of this installation.
fn is_of((session, place): (&Session, &Place), kek: &Kek, installation: KeyId) -> Result<bool, RewrapError> {
    let records = &*place.records(session);
    if !store_key::exists(records)? {
        return Ok(false);
    }
    let header = store_key::find(records, kek)?.header;
    if header.key == installation {
        return Ok(true);
    }
    Err(RewrapError::Refused(format!(
        "the new key-encryption key belongs to the installation {}: name a token without one, or another \
         pkcs11.kek_label",
        header.key
    )))
}

fn refused(why: &str) -> RewrapError {
    RewrapError::Refused(why.to_owned())
}

/// A token that holds anything of another installation is not used.
fn refuse_what_exists(session: &Session) -> Result<(), RewrapError> {
    let place = Place::in_token();
    let records = &*place.records(session);
    let exists =
        canary::exists(records)? || store_key::exists(records)? || !anchor::read(session)?.is_empty();
    if keys(records)? == 0 && !exists {
        return Ok(());
    }
    Err(refused(
        "the new token holds records of another installation, or of this one under a key-encryption key that is gone: \
         name an empty token",
    ))
}
