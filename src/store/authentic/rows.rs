//! The rows that a back end holds, as verified: their MACs, and the head that every change moves on.

use std::sync::Arc;

use hsm::StoreKey;
use sha2::{Digest, Sha256};

use super::root::{Leaves, Mac};
use super::row::{Place, Row, Table};
use crate::store::error::StoreError;

/// Contexts of the store key; what is made for one is worthless in the others.
const ROW: &str = "avs-kms/store/row/1";
const HEAD: &str = "avs-kms/store/head/1";
const CHAIN: &[u8] = b"avs-kms/store/chain/1";

/// How many forged rows a refusal names.
const MOST_NAMED: usize = 10;

/// The state of the store after its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the last change since `init`; it only grows.
    pub counter: u64,
    /// Hash over the chain before, the counter and the root.
    pub chain: [u8; 32],
    /// Root over the MACs of all rows.
    pub root: [u8; 32],
}

impl Head {
    pub(in crate::store) fn message(&self) -> Vec<u8> {
        [self.counter.to_be_bytes().as_slice(), &self.chain, &self.root].concat()
    }
}

fn link(before: [u8; 32], counter: u64, root: [u8; 32]) -> [u8; 32] {
    let link = Sha256::new_with_prefix(CHAIN).chain_update(before).chain_update(counter.to_be_bytes());
    link.chain_update(root).finalize().into()
}

/// The rows of one open store.
#[derive(Debug)]
pub(in crate::store) struct Rows {
    key: Arc<StoreKey>,
    leaves: Leaves,
    head: Head,
    /// What the running transaction changed, to undo it.
    changed: Vec<(Place, Option<Mac>)>,
    /// What a start has read so far.
    read: Leaves,
    forged: Vec<String>,
    /// The least counter of the next change.
    least: u64,
}

impl Rows {
    /// Those of an empty store.
    pub(in crate::store) fn new(key: Arc<StoreKey>) -> Self {
        let mut leaves = Leaves::default();
        let head = Head { counter: 0, chain: [0; 32], root: leaves.root() };
        let (read, changed, forged) = (Leaves::default(), Vec::new(), Vec::new());
        Self { key, leaves, head, changed, read, forged, least: 0 }
    }

    pub(in crate::store) fn key(&self) -> &StoreKey {
        &self.key
    }

    /// The MAC of a row that is written now, to be stored beside it.
    pub(in crate::store) fn put(&mut self, row: &Row) -> Mac {
        let mac = self.key.mac(ROW, &row.message());
        self.set(row.place(), Some(mac));
        mac
    }

    /// A row that is deleted now.
    pub(in crate::store) fn remove(&mut self, place: Place) {
        self.set(place, None);
    }

    /// Every mark of an intent is deleted now.
    pub(in crate::store) fn remove_applied_intents(&mut self) {
        let marks: Vec<_> =
            self.leaves.places().filter(|place| place.is_of(Table::AppliedIntent)).cloned().collect();
        marks.into_iter().for_each(|place| self.remove(place));
    }

    pub(in crate::store) fn contains(&self, place: &Place) -> bool {
        self.leaves.get(place).is_some()
    }

    /// Whether a row that was just read is the one that was verified or written last.
    pub(in crate::store) fn check(&self, row: &Row) -> Result<(), StoreError> {
        let known = self.leaves.get(&row.place());
        match known.is_some_and(|mac| self.key.verify(ROW, &row.message(), mac)) {
            true => Ok(()),
            false => Err(StoreError::Forged(row.to_string())),
        }
    }

    /// A row that is read at the start, with the MAC beside it. A forged one is named by [`loaded`](Self::loaded). So is a
    /// second one of the same place: an older row is genuine too, and the root tells of the last one alone.
    pub(in crate::store) fn load(&mut self, row: &Row, mac: &[u8]) {
        let genuine = Mac::try_from(mac).ok().filter(|mac| self.key.verify(ROW, &row.message(), mac));
        let before = genuine.map(|mac| self.read.set(row.place(), Some(mac)));
        if before != Some(None) {
            self.forged.push(row.to_string());
        }
    }

    /// All rows are read: compares them with the head in the file.
    pub(in crate::store) fn loaded(&mut self, head: Head, mac: &[u8]) -> Result<(), StoreError> {
        if !self.key.verify(HEAD, &head.message(), mac) {
            return Err(StoreError::OtherInstallation);
        }
        let (mut read, forged) = (std::mem::take(&mut self.read), std::mem::take(&mut self.forged));
        if !forged.is_empty() {
            let more = forged.len().saturating_sub(MOST_NAMED);
            let mut named: Vec<_> = forged.into_iter().take(MOST_NAMED).collect();
            named.extend((more > 0).then(|| format!("{more} more")));
            return Err(StoreError::Forged(named.join(", ")));
        }
        if read.root() != head.root {
            return Err(StoreError::RowsMissing);
        }
        (self.leaves, self.head) = (read, head);
        self.changed.clear();
        Ok(())
    }

    /// The head after what the running transaction changed, and its MAC; none if nothing changed.
    pub(in crate::store) fn next_head(&mut self) -> Option<(Head, Mac)> {
        if self.changed.is_empty() && self.least <= self.head.counter {
            return None;
        }
        let (counter, root) = (self.least.max(self.head.counter + 1), self.leaves.root());
        let head = Head { counter, chain: link(self.head.chain, counter, root), root };
        Some((head, self.key.mac(HEAD, &head.message())))
    }

    /// Whether the store came from an earlier state by these changes: counter and root of each, oldest first.
    pub(in crate::store) fn descends(
        &self,
        mut chain: [u8; 32],
        changes: impl Iterator<Item = (u64, [u8; 32])>,
    ) -> bool {
        for (counter, root) in changes {
            chain = link(chain, counter, root);
        }
        chain == self.head.chain
    }

    /// Makes a change that is none, with a number above this one and above all of its own.
    pub(in crate::store) fn skip_to(&mut self, counter: u64) {
        self.least = counter.max(self.head.counter).saturating_add(1);
    }

    /// Head and MAC of the store as it is.
    pub(in crate::store) fn head(&self) -> (Head, Mac) {
        (self.head, self.key.mac(HEAD, &self.head.message()))
    }

    /// The transaction is durable.
    pub(in crate::store) fn commit(&mut self, head: Option<Head>) {
        self.changed.clear();
        self.head = head.unwrap_or(self.head);
    }

    /// The transaction was rolled back.
    pub(in crate::store) fn undo(&mut self) {
        while let Some((place, before)) = self.changed.pop() {
            self.leaves.set(place, before);
        }
    }

    fn set(&mut self, place: Place, mac: Option<Mac>) {
        let before = self.leaves.set(place.clone(), mac);
        self.changed.push((place, before));
    }
}
