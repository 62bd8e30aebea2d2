//! RFC 6962 hashing and the compact state of a growing tree.
//!
//! Not for: proofs (`tlog_tiles` makes and checks those).

use sha2::{Digest, Sha256};

/// A SHA-256 value: of a record, a tree node or a root.
pub type Hash = [u8; 32];

/// The hash of a record: SHA-256(0x00 ‖ record), RFC 6962 section 2.1.
pub fn leaf_hash(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

/// [`leaf_hash`] of a record that comes in pieces.
pub(crate) struct LeafHasher(Sha256);

impl Default for LeafHasher {
    fn default() -> Self {
        Self(Sha256::new().chain_update([0]))
    }
}

impl LeafHasher {
    /// The next piece.
    pub(crate) fn chain(self, piece: &[u8]) -> Self {
        Self(self.0.chain_update(piece))
    }

    /// The hash.
    pub(crate) fn finish(self) -> Hash {
        self.0.finalize().into()
    }
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right), RFC 6962 section 2.1.
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The roots of the perfect subtrees that a tree of `size` leaves consists of, largest first: all
/// that is needed to go on appending and to know the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// A frontier that was stored; `None` when the number of roots does not fit the size.
    pub(crate) fn from_parts(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (usize::try_from(size.count_ones()) == Ok(roots.len())).then_some(Self { size, roots })
    }

    /// The number of leaves.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// The subtree roots, largest first.
    pub(crate) fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Adds a leaf.
    pub(crate) fn push(&mut self, leaf: Hash) {
        self.push_each(leaf, |_| ());
    }

    /// Adds a leaf and shows each node that it completes, the leaf first.
    pub(crate) fn push_each(&mut self, leaf: Hash, mut each: impl FnMut(&Hash)) {
        let mut node = leaf;
        each(&node);
        // Each trailing one bit of the size is a perfect subtree that the new leaf completes.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                node = node_hash(&left, &node);
                each(&node);
            }
        }
        self.roots.push(node);
        self.size += 1;
    }

    /// The RFC 6962 root; of the empty tree SHA-256 of nothing.
    pub(crate) fn root(&self) -> Hash {
        let mut from_right = self.roots.iter().rev();
        let Some(&last) = from_right.next() else { return Sha256::digest([]).into() };
        from_right.fold(last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn roots_are_those_of_two_independent_implementations(
            leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..70),
        ) {
            let mut frontier = Frontier::default();
            let mut tree: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
            let mut stored: Vec<tlog_tiles::Hash> = Vec::new();
            for (index, leaf) in leaves.into_iter().enumerate() {
                frontier.push(leaf_hash(&leaf));
                let hashes = tlog_tiles::stored_hashes(index as u64, &leaf, &HashIndexReader(&stored)).unwrap();
                stored.extend(hashes);
                tree.push(leaf);
                let root = frontier.root();
                let expected: Hash = (*tree.root().as_bytes()).into();
                prop_assert_eq!(root, expected);
                let other = tlog_tiles::tree_hash(index as u64 + 1, &HashIndexReader(&stored)).unwrap();
                prop_assert_eq!(root, other.0);
                let again = Frontier::from_parts(frontier.size(), frontier.roots().to_vec()).unwrap();
                prop_assert_eq!(again.root(), root);
            }
        }
    }

    struct HashIndexReader<'a>(&'a [tlog_tiles::Hash]);

    impl tlog_tiles::HashReader for HashIndexReader<'_> {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
            Ok(indexes.iter().map(|&index| *self.0.get(index as usize).unwrap()).collect())
        }
    }
}
