//! Segment checkpoints: the signed head at the end of each completed segment, in a file beside it.
//!
//! The file is archived with its segment. A checkpoint that could not be signed is tried again. One
//! that an earlier run did not sign is made at start, of a head that the stored hashes prove to be
//! in the log. Not for: the newest checkpoint (`publisher`).

use std::path::{Path, PathBuf};

use crate::checkpoint::hash_index::HashIndexReader;
use crate::checkpoint::proof;
use crate::checkpoint::signed::{CheckpointSigner, SignedCheckpoint};
use crate::durable_head::SealedSegment;
use crate::format::corruption::ReadError;
use crate::format::head::Head;
use crate::format::names::{self, SEGMENT_CHECKPOINT};
use crate::read::source::Source;
use crate::storage::atomic_write::write_atomically;

/// Permission bits of a checkpoint: every user may read it.
pub(crate) const PUBLIC: u32 = 0o644;

/// The segments that wait for their checkpoint.
#[derive(Default)]
pub(crate) struct SegmentCheckpoints {
    waiting: Vec<SealedSegment>,
}

impl SegmentCheckpoints {
    /// The completed segments here without a checkpoint, as far as the stored hashes prove what to
    /// sign.
    pub(crate) fn missing(
        directory: &Path,
        stored: Option<&HashIndexReader>,
        newest: &SignedCheckpoint,
        head: &Head,
    ) -> Result<Self, ReadError> {
        let firsts = Source::open(directory)?.firsts()?;
        let mut waiting = Vec::new();
        for pair in firsts.windows(2) {
            let &[first, next] = pair else { continue };
            if segment_checkpoint_path(directory, first).exists() {
                continue;
            }
            let size = newest.size();
            let proof = stored.and_then(|stored| proof::consistency(stored, size, next, size).ok());
            match proof.filter(|proof| proof.to_root == newest.root()) {
                Some(proof) => {
                    let head = Head { size: next, root: proof.from_root, ..*head };
                    waiting.push(SealedSegment { first, head });
                }
                None => tracing::warn!(
                    first,
                    "an older audit segment has no checkpoint, and its head cannot be proven"
                ),
            }
        }
        Ok(Self { waiting })
    }

    /// Adds segments that were completed.
    pub(crate) fn add(&mut self, completed: Vec<SealedSegment>) {
        self.waiting.extend(completed);
    }

    /// Signs for the waiting segments.
    pub(crate) fn make(&mut self, directory: &Path, origin: &str, signer: &dyn CheckpointSigner) {
        self.waiting.retain(|sealed| {
            let done = SignedCheckpoint::sign(origin, &sealed.head, signer)
                .map_err(Box::<dyn std::error::Error>::from)
                .and_then(|note| {
                    Ok(write_atomically(
                        &segment_checkpoint_path(directory, sealed.first),
                        note.note().as_bytes(),
                        PUBLIC,
                    )?)
                });
            if let Err(error) = &done {
                let error = &**error;
                tracing::error!(
                    error,
                    first = sealed.first,
                    "cannot sign the checkpoint of an audit segment; trying again"
                );
            }
            done.is_err()
        });
    }
}

/// The file with the checkpoint of one segment.
pub(crate) fn segment_checkpoint_path(directory: &Path, first: u64) -> PathBuf {
    directory.join(names::segment(first)).with_extension(SEGMENT_CHECKPOINT)
}
