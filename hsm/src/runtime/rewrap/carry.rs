//! What a move carries over, record by record: opened on the old side, sealed for the new one, found there again and
//! proven. Not for the keys of the new side.

use std::collections::HashSet;
use std::sync::Arc;

use super::error::RewrapError;
use super::new_side::{NewSide, RewrapCaller};
use super::side::Sides;
use crate::arena::Arena;
use crate::key::KeyId;
use crate::keys::entry::Entry;
use crate::keys::index::Index;
use crate::labels::STORE_KEY_LABEL;
use crate::pkcs11::{Function, Session, TokenError};
use crate::token::canary;
use crate::token::checkpoint_key::SigningWith;
use crate::token::connection::TokenConnection;
use crate::token::init_records::InitRecords;
use crate::token::store_key;
use crate::wrap::{self, EntryKind, Header, Kek, WrappedKey};

const UNREADABLE: &str = "its record cannot be read, so it cannot be moved: put the record back from a backup, or destroy \
                          the version with `avs-kms keys destroy`";
const DUPLICATED: &str = "it has two records: remove the wrong one by the vendor's tools";
const ANOTHER_SCALAR: &str = "its record opens to another key than it names; nothing was moved";
const NOT_AS_STORED: &str = "the new token does not give back what was just stored: do not use this token";
const LOST: &str = "the old side has lost its record, and the new side has one: put the old record back from a backup, so that \
                    no copy is destroyed that may be the last";

/// Carries everything over; gives how many keys.
pub(super) fn copy(
    Sides { old: old_side, new: side, .. }: &Sides,
    old: &TokenConnection,
    caller: &dyn RewrapCaller,
    (arena, second): (&mut Arena, &mut Arena),
) -> Result<usize, RewrapError> {
    let keys = keys(old, arena)?;
    let session = old.session()?;
    let store_key = store_key::find(&*old.records(&session), &old.kek)?;
    let mut new = NewSide::make((old_side, side), old, store_key.header.key, caller, arena)?;
    new.move_store_key((&session, old), &store_key, arena, second)?;
    for (done, entry) in keys.iter().enumerate() {
        new.move_key((&session, old), entry, arena, second)?;
        caller.progress(done + 1, keys.len());
    }
    new.remove_others(&keys, caller)?;
    new.plant_canary(arena)?;
    side.sync()?;
    Ok(keys.len())
}

/// Every key of a side, by id. One that cannot be moved stops the move before anything is made.
pub(super) fn keys(of: &TokenConnection, arena: &mut Arena) -> Result<Vec<Arc<Entry>>, RewrapError> {
    let (index, findings) = Index::load(of, arena.parts().0)?;
    for (keys, problem) in [(&findings.unreadable, UNREADABLE), (&findings.duplicated, DUPLICATED)] {
        if let Some(key) = keys.first() {
            return Err(RewrapError::Key { key: *key, problem });
        }
    }
    Ok(index.entries())
}

impl NewSide<'_> {
    /// The same key under the new key-encryption key: the rows of the store stay as they are.
    fn move_store_key(
        &mut self,
        (session, old): (&Session, &TokenConnection),
        record: &WrappedKey,
        arena: &mut Arena,
        second: &mut Arena,
    ) -> Result<(), RewrapError> {
        let header = Header { scheme: self.scheme, kek: self.kek.id, ..record.header };
        let records = &*self.place.records(&self.session);
        let found = wrap::find_labelled(records, STORE_KEY_LABEL)?;
        if let [Ok(made)] = &found[..]
            && made.header == header
            && self.signer.endorses(made)
            && same((session, old, record), (&self.session, &self.kek, made), arena, second)?
        {
            self.ivs.insert(made.iv().into());
            return Ok(());
        }
        records.remove(STORE_KEY_LABEL)?;
        let mut key = wrap::open(session, old.kek.handle, record, arena.parts().0)?;
        let sealed = wrap::seal(&self.session, self.kek.handle, header, &mut key);
        drop(key);
        let another = || self.side.session();
        let (kek, scheme, ids, signer) = (&self.kek, self.scheme, self.ids, &self.signer);
        let with =
            InitRecords { session: &self.session, another: &another, records, kek, scheme, ids, signer };
        let made = with.store(STORE_KEY_LABEL, sealed, second)?;
        self.take_iv(&made)?;
        let found = store_key::find(&*self.place.records(&self.session), &self.kek)?;
        match found == made && same((session, old, record), (&self.session, &self.kek, &made), arena, second)?
        {
            true => Ok(()),
            false => Err(RewrapError::Refused(NOT_AS_STORED.to_owned())),
        }
    }

    /// One key: opened on the old side, sealed for the new one, found there again and opened. One that is there already is
    /// proven alike.
    fn move_key(
        &mut self,
        (session, old): (&Session, &TokenConnection),
        entry: &Entry,
        arena: &mut Arena,
        second: &mut Arena,
    ) -> Result<(), RewrapError> {
        let old_header = entry.record.header;
        let (key, header) = (old_header.key, Header { scheme: self.scheme, kek: self.kek.id, ..old_header });
        let label = wrap::key_label(key);
        if let Some(made) = self.proven(&label, &header, entry, arena)? {
            return self.take_iv(&made);
        }
        self.place.records(&self.session).remove(&label)?;
        let (slot, stack) = arena.parts();
        let mut scalar = wrap::open(session, old.kek.handle, &entry.record, slot)?;
        let named = (entry.public_key.g1.to_bytes(), entry.public_key.g2.to_bytes());
        if scalar.public_keys(stack) != Ok(named) {
            return Err(RewrapError::Key { key, problem: ANOTHER_SCALAR });
        }
        let sealed = wrap::seal(&self.session, self.kek.handle, header, &mut scalar)?;
        drop(scalar);
        let another = || self.side.session();
        let with =
            SigningWith { session: &self.session, another: &another, kek: self.kek.handle, arena: second };
        let sealed = self.signer.endorse(with, sealed)?;
        self.take_iv(&sealed)?;
        wrap::store(&*self.place.records(&self.session), &label, &sealed)?;
        match self.proven(&label, &header, entry, arena)? {
            Some(made) if made == sealed => Ok(()),
            Some(_) | None => Err(RewrapError::Key { key, problem: NOT_AS_STORED }),
        }
    }

    /// The one record of the label, if it has this header and opens to the scalar of the public key.
    fn proven(
        &self,
        label: &str,
        header: &Header,
        entry: &Entry,
        arena: &mut Arena,
    ) -> Result<Option<WrappedKey>, RewrapError> {
        let mut found = wrap::find_labelled(&*self.place.records(&self.session), label)?;
        let (Some(Ok(made)), true) = (found.pop(), found.is_empty()) else { return Ok(None) };
        if made.header != *header || !self.signer.endorses(&made) {
            return Ok(None);
        }
        let (slot, stack) = arena.parts();
        // On a session of its own, which a refusal may spoil.
        let session = self.side.session()?;
        let Ok(mut scalar) = wrap::open(&session, self.kek.handle, &made, slot) else { return Ok(None) };
        let belongs = scalar.belongs_to(stack, &entry.public_key.g1).unwrap_or(false);
        Ok(belongs.then_some(made))
    }

    /// Destroys records of keys that were destroyed on the old side after an interrupted move. One that the old side has
    /// lost may have its last copy here.
    fn remove_others(&self, keys: &[Arc<Entry>], caller: &dyn RewrapCaller) -> Result<(), RewrapError> {
        let known: HashSet<KeyId> = keys.iter().map(|entry| entry.record.header.key).collect();
        let (records, mut others) = (&*self.place.records(&self.session), HashSet::new());
        wrap::scan(records, |found| {
            if let EntryKind::Key(id, _) = found
                && !known.contains(&id)
            {
                others.insert(id);
            }
        })?;
        if let Some(key) = others.iter().find(|id| !caller.is_gone(**id)) {
            return Err(RewrapError::Key { key: *key, problem: LOST });
        }
        Ok(others.into_iter().try_for_each(|id| records.remove(&wrap::key_label(id)))?)
    }

    /// Says that the new side is complete.
    fn plant_canary(&mut self, arena: &mut Arena) -> Result<(), RewrapError> {
        let records = &*self.place.records(&self.session);
        if !canary::exists(records)? {
            let another = || self.side.session();
            let (kek, scheme, ids, signer) = (&self.kek, self.scheme, self.ids, &self.signer);
            let with =
                InitRecords { session: &self.session, another: &another, records, kek, scheme, ids, signer };
            canary::create(&with, arena)?;
        }
        Ok(())
    }

    fn take_iv(&mut self, record: &WrappedKey) -> Result<(), RewrapError> {
        if !self.scheme.has_iv() || self.ivs.insert(record.iv().into()) {
            return Ok(());
        }
        let what = "it used an initialisation vector again";
        Err(TokenError::protocol_violation(Function::Encrypt, what).into())
    }
}

/// Whether both records open to the same key.
fn same(
    (session, old, record): (&Session, &TokenConnection, &WrappedKey),
    (new_session, kek, made): (&Session, &Kek, &WrappedKey),
    arena: &mut Arena,
    second: &mut Arena,
) -> Result<bool, RewrapError> {
    let (slot, stack) = arena.parts();
    let mut one = wrap::open(session, old.kek.handle, record, slot)?;
    let other = wrap::open(new_session, kek.handle, made, second.parts().0)?;
    Ok(one.equals(stack, &other))
}
