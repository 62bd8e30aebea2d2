//! Comparison of a log, while it is read, with the checkpoints that were kept of it.

use crate::format::known_head::KnownHead;
use crate::format::merkle::{Frontier, Hash};

/// The checkpoints that are still ahead, nearest first.
pub(super) struct Targets {
    ahead: Vec<(u64, Hash)>,
    pub(super) reached: u64,
    /// The records of one frame, while a checkpoint is ahead.
    pub(super) hashes: Vec<Hash>,
}

impl Targets {
    pub(super) fn new(checkpoints: &[KnownHead]) -> Self {
        let mut ahead: Vec<_> = checkpoints.iter().map(|one| (one.size, one.root)).collect();
        ahead.sort_unstable_by_key(|&(size, _)| std::cmp::Reverse(size));
        Self { ahead, reached: 0, hashes: Vec::new() }
    }

    pub(super) fn next(&self) -> Option<&(u64, Hash)> {
        self.ahead.last()
    }

    pub(super) const fn pending(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Skips those before the first record that is here.
    pub(super) fn skip_before(&mut self, size: u64) -> u64 {
        let mut skipped = 0;
        while self.next().is_some_and(|&(target, _)| target < size) {
            self.ahead.pop();
            skipped += 1;
        }
        skipped
    }

    /// Compares those between a head and the end of the records after it.
    pub(super) fn reach(&mut self, before: &Frontier, hashes: &[Hash]) -> Result<(), u64> {
        let end = before.size() + u64::try_from(hashes.len()).unwrap_or_default();
        let mut frontier = before.clone();
        let mut hashes = hashes.iter();
        while let Some(&(target, root)) = self.next().filter(|&&(target, _)| target <= end) {
            while frontier.size() < target
                && let Some(&hash) = hashes.next()
            {
                frontier.push(hash);
            }
            if frontier.root() != root {
                return Err(target.saturating_sub(1));
            }
            self.ahead.pop();
            self.reached += 1;
        }
        Ok(())
    }
}
