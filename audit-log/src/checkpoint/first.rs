//! Checkpoints without a publisher: the first of a log, signed when the log is created (from then on a log without any
//! checkpoint has been tampered with), and the last of a key.

use std::path::Path;

use crate::checkpoint::publish_error::PublishError;
use crate::checkpoint::segment_checkpoint::PUBLIC;
use crate::checkpoint::signed::{CheckpointSigner, SignedCheckpoint};
use crate::format::corruption::{Corruption, CorruptionKind};
use crate::format::head::Head;
use crate::format::merkle::Frontier;
use crate::format::names::{self, CHECKPOINT};
use crate::read::cursor::root_at;
use crate::read::source::Source;
use crate::storage::atomic_write::write_atomically;

/// Signs the checkpoint of a log without records and keeps it beside the log, durably.
pub(crate) fn sign_first(
    directory: &Path,
    signer: &dyn CheckpointSigner,
) -> Result<SignedCheckpoint, PublishError> {
    let source = Source::open(directory)?;
    let log = source.segment(0)?.header.log;
    if root_at(&source, 1)?.is_some() {
        let kind = CorruptionKind::Trailing;
        return Err(PublishError::Read(
            Corruption { seq: 0, segment: names::segment(0), offset: 0, kind }.into(),
        ));
    }
    let head = Head { log, size: 0, record_hash: [0; 32], root: Frontier::default().root() };
    sign_head(directory, &head, signer)
}

/// Signs the checkpoint of a head and keeps it beside the log, durably.
pub(crate) fn sign_head(
    directory: &Path,
    head: &Head,
    signer: &dyn CheckpointSigner,
) -> Result<SignedCheckpoint, PublishError> {
    let checkpoint = SignedCheckpoint::sign(&head.log.origin(), head, signer)?;
    let path = directory.join(CHECKPOINT);
    write_atomically(&path, checkpoint.note().as_bytes(), PUBLIC)
        .map_err(|source| PublishError::Write { path, source })?;
    Ok(checkpoint)
}
