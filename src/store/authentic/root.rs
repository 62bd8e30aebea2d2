//! Root over the MACs of all rows: a hash tree of two levels, so that a change costs one bucket and not all rows.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::row::Place;

const BUCKETS: usize = 256;
/// Each hash has a context of its own.
const PLACE: &[u8] = b"avs-kms/store/place/1";
const BUCKET: &[u8] = b"avs-kms/store/bucket/1";
const ROOT: &[u8] = b"avs-kms/store/root/1";

pub(super) type Mac = [u8; 32];

/// The MAC of each row, by its place.
#[derive(Debug)]
pub(super) struct Leaves {
    buckets: Vec<Bucket>,
}

#[derive(Debug, Default)]
struct Bucket {
    rows: BTreeMap<Place, Mac>,
    /// Empty after a change, until the root is asked for.
    digest: Option<[u8; 32]>,
}

impl Default for Leaves {
    fn default() -> Self {
        Self { buckets: std::iter::repeat_with(Bucket::default).take(BUCKETS).collect() }
    }
}

impl Leaves {
    pub(super) fn get(&self, place: &Place) -> Option<&Mac> {
        self.buckets.get(bucket_of(place))?.rows.get(place)
    }

    /// Sets or removes a row and returns what was there.
    pub(super) fn set(&mut self, place: Place, mac: Option<Mac>) -> Option<Mac> {
        let bucket = self.buckets.get_mut(bucket_of(&place))?;
        bucket.digest = None;
        match mac {
            Some(mac) => bucket.rows.insert(place, mac),
            None => bucket.rows.remove(&place),
        }
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.buckets.iter().flat_map(|bucket| bucket.rows.keys())
    }

    pub(super) fn root(&mut self) -> [u8; 32] {
        let mut root = Sha256::new_with_prefix(ROOT);
        for bucket in &mut self.buckets {
            let rows = &bucket.rows;
            root.update(bucket.digest.get_or_insert_with(|| digest(rows)));
        }
        root.finalize().into()
    }
}

fn digest(rows: &BTreeMap<Place, Mac>) -> [u8; 32] {
    let mut digest = Sha256::new_with_prefix(BUCKET);
    for (place, mac) in rows {
        digest.update((place.0.len() as u64).to_be_bytes());
        digest.update(&place.0);
        digest.update(mac);
    }
    digest.finalize().into()
}

fn bucket_of(place: &Place) -> usize {
    let [first, ..]: [u8; 32] = Sha256::new_with_prefix(PLACE).chain_update(&place.0).finalize().into();
    usize::from(first)
}
