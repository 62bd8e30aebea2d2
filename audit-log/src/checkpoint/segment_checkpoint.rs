//! Seals: the end of each completed segment, signed, in a file beside it that goes where the segment goes.
//!
//! One that could not be signed is tried again, and one that an earlier run did not get to is made at start, of a head that
//! the hashes of the tree prove to lie in the past of the log. Not for: the newest checkpoint (`publisher`).

use std::path::{Path, PathBuf};

use crate::checkpoint::hash_index::HashIndexReader;
use crate::checkpoint::proof;
use crate::checkpoint::signed::{CheckpointSigner, SignedCheckpoint};
use crate::durable_head::SealedSegment;
use crate::format::corruption::{ReadError, io_error};
use crate::format::head::Head;
use crate::format::names::{self, CHECKPOINT, SEGMENT_CHECKPOINT};
use crate::read::source::Source;
use crate::storage::atomic_write::write_atomically;
use crate::storage::directory::names_in;

/// Permission bits of a checkpoint: everybody may read it.
pub(crate) const PUBLIC: u32 = 0o644;

/// The segments that wait for their seal.
#[derive(Default)]
pub(crate) struct SegmentCheckpoints {
    waiting: Vec<SealedSegment>,
}

impl SegmentCheckpoints {
    /// Those of the completed segments here that have no seal, as far as it can be proven what to sign.
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
            if seal(directory, first).exists() {
                continue;
            }
            let size = newest.size();
            let proof = stored.and_then(|stored| proof::consistency(stored, size, next, size).ok());
            match proof.filter(|proof| proof.to_root == newest.root()) {
                Some(proof) => {
                    let head = Head { size: next, root: proof.from_root, ..*head };
                    waiting.push(SealedSegment { first, head });
                }
                None => tracing::warn!(first, "an older audit segment has no seal and gets none"),
            }
        }
        Ok(Self { waiting })
    }

    /// Signs what waits, and what has been completed since.
    pub(crate) fn make(
        &mut self,
        completed: Vec<SealedSegment>,
        directory: &Path,
        origin: &str,
        signer: &dyn CheckpointSigner,
    ) {
        self.waiting.extend(completed);
        self.waiting.retain(|sealed| {
            let done = SignedCheckpoint::sign(origin, &sealed.head, signer)
                .map_err(Box::<dyn std::error::Error>::from)
                .and_then(|note| {
                    Ok(write_atomically(&seal(directory, sealed.first), note.note().as_bytes(), PUBLIC)?)
                });
            if let Err(error) = &done {
                let error = &**error;
                tracing::error!(error, first = sealed.first, "an audit segment is not sealed yet");
            }
            done.is_err()
        });
    }
}

/// The files of signed checkpoints in the directory of a log: the newest, and the seals.
///
/// # Errors
/// When the directory cannot be read.
pub fn checkpoint_files(directory: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let mut names = names_in(directory).map_err(|error| io_error(&directory.to_string_lossy(), error))?;
    let is_seal = |name: &str| {
        let stem = name.strip_suffix(SEGMENT_CHECKPOINT).and_then(|name| name.strip_suffix('.'));
        stem.is_some_and(|stem| names::any_first_of(&format!("{stem}.log")).is_some())
    };
    names.retain(|name| name == CHECKPOINT || is_seal(name));
    names.sort();
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

fn seal(directory: &Path, first: u64) -> PathBuf {
    directory.join(names::segment(first)).with_extension(SEGMENT_CHECKPOINT)
}
