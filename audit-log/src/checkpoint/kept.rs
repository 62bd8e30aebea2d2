//! The checkpoints that were kept of a log, at start: beside it, of its segments, in copies and in the
//! token.
//!
//! Not for: the comparison (`rollback`).

use std::path::{Path, PathBuf};

use crate::checkpoint::key::{PublicKey, VerifierKey};
use crate::checkpoint::publish_error::PublishError;
use crate::checkpoint::publisher_settings::PublisherSettings;
use crate::checkpoint::rollback::{self, KnownCheckpoint, RollbackDetected};
use crate::checkpoint::segment_checkpoint::segment_checkpoint_path;
use crate::checkpoint::signed::CheckpointError;
use crate::checkpoint::statement::key_change::{KeyHistory, TrustedKeys};
use crate::format::corruption::{ReadError, io_error};
use crate::format::head::Head;
use crate::format::names::CHECKPOINT;
use crate::read::chain::Chain;
use crate::read::cursor::step_with_retry;
use crate::read::frame_reader::{FrameEvent, FrameReader};
use crate::read::source::{Segment, Source};
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
    let PublisherSettings { files, anchors, requires_checkpoint, requires_anchor, .. } = publishing;
    compare(directory, head, &key, (files, anchors), (*requires_checkpoint, *requires_anchor))
}

/// The same of a log that no process has open, as a start would find it that requires a checkpoint, and an anchor unless
/// there is no place for one. Empty where there is no log.
///
/// # Errors
/// When the log cannot be read.
pub fn detect_rollback_of(
    directory: &Path,
    public_key: PublicKey,
    files: &[PathBuf],
    anchors: Option<&[Vec<u8>]>,
) -> Result<Vec<RollbackDetected>, PublishError> {
    let source = Source::open(directory)?;
    let Some(&last) = source.firsts()?.last() else { return Ok(Vec::new()) };
    let Segment { name, file, header } = source.segment(last)?;
    let mut chain = Chain::at(&header);
    let mut reader = FrameReader::new(&file, &name, header.bytes);
    while let FrameEvent::Frame { .. } = step_with_retry(&file, &mut reader, &mut chain, |_| ())? {}
    let head = Head { log: header.log, size: chain.size(), record_hash: chain.last, root: chain.root };
    let key = VerifierKey::new(&head.log.origin(), public_key).map_err(|_| CheckpointError::OriginForm)?;
    compare(directory, &head, &key, (files, anchors.unwrap_or_default()), (true, anchors.is_some()))
}

fn compare(
    directory: &Path,
    head: &Head,
    key: &VerifierKey,
    (files, anchors): (&[PathBuf], &[Vec<u8>]),
    (requires_checkpoint, requires_anchor): (bool, bool),
) -> Result<Vec<RollbackDetected>, PublishError> {
    let source = Source::open(directory)?;
    let history = KeyHistory::read(directory)?;
    if let Some(new) = history.successor(key) {
        return Err(PublishError::KeyReplaced { new: new.to_string() });
    }
    let keys = TrustedKeys::new(&history, std::slice::from_ref(key));
    let mut claims = Vec::new();
    for (kept_in, path) in std::iter::once((LOG_DIRECTORY.to_owned(), directory.join(CHECKPOINT)))
        .chain(files.iter().map(|path| (path.display().to_string(), path.clone())))
    {
        let note = read_optional(&path).map_err(|error| io_error(&path.to_string_lossy(), error))?;
        claims.extend(note.map(|note| KnownCheckpoint { kept_in, note }));
    }
    let kept = anchors.iter().cloned();
    claims.extend(kept.map(|note| KnownCheckpoint { kept_in: "the token".to_owned(), note }));
    if claims.is_empty() && requires_checkpoint {
        return Ok(vec![RollbackDetected::nothing_kept(head)]);
    }
    claims.extend(segment_claims(directory, &source)?);
    let mut detected = rollback::detect(&source, head, &keys, &claims)?;
    if requires_anchor && anchors.is_empty() {
        detected.push(RollbackDetected::no_anchor(head));
    }
    Ok(detected)
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
