//! The checkpoints that were kept of a log, at start: beside it, of its segments, in copies and in the
//! token.
//!
//! Not for: the comparison (`rollback`).

use std::path::Path;

use crate::checkpoint::key::VerifierKey;
use crate::checkpoint::publish_error::PublishError;
use crate::checkpoint::publisher_settings::PublisherSettings;
use crate::checkpoint::rollback::{self, KnownCheckpoint, RollbackDetected};
use crate::checkpoint::segment_checkpoint::segment_checkpoint_path;
use crate::checkpoint::signed::CheckpointError;
use crate::format::corruption::{ReadError, io_error};
use crate::format::head::Head;
use crate::format::names::CHECKPOINT;
use crate::read::source::Source;
use crate::storage::atomic_write::read_optional;

/// The directory of the log as a place where checkpoints are kept.
pub(super) const LOG_DIRECTORY: &str = "the directory of the log";

/// The kept checkpoints whose heads the log of `head` does not contain.
pub(crate) fn detect_rollback(
    directory: &Path,
    head: &Head,
    publishing: &PublisherSettings,
) -> Result<Vec<RollbackDetected>, PublishError> {
    let key = VerifierKey::new(&publishing.origin(head), publishing.signer.public_key())
        .map_err(|_| CheckpointError::OriginForm)?;
    let source = Source::open(directory)?;
    let mut claims = Vec::new();
    for (kept_in, path) in std::iter::once((LOG_DIRECTORY.to_owned(), directory.join(CHECKPOINT)))
        .chain(publishing.files.iter().map(|path| (path.display().to_string(), path.clone())))
    {
        let note = read_optional(&path).map_err(|error| io_error(&path.to_string_lossy(), error))?;
        claims.extend(note.map(|note| KnownCheckpoint { kept_in, note }));
    }
    let anchors = publishing.anchors.iter().cloned();
    claims.extend(anchors.map(|note| KnownCheckpoint { kept_in: "the token".to_owned(), note }));
    if claims.is_empty() && publishing.requires_checkpoint {
        return Ok(vec![RollbackDetected::nothing_kept(head)]);
    }
    claims.extend(segment_claims(directory, &source)?);
    Ok(rollback::detect(&source, head, &key, &claims)?)
}

/// The checkpoints of the segments that are here.
fn segment_claims(directory: &Path, source: &Source) -> Result<Vec<KnownCheckpoint>, ReadError> {
    let mut claims = Vec::new();
    for first in source.firsts()? {
        let path = segment_checkpoint_path(directory, first);
        let note = read_optional(&path).map_err(|error| io_error(&path.to_string_lossy(), error))?;
        claims.extend(note.map(|note| KnownCheckpoint { kept_in: path.display().to_string(), note }));
    }
    Ok(claims)
}
