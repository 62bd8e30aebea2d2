//! The verify command, shared by the service's program and the stand-alone verifier: files in,
//! verdict out.

use std::path::{Path, PathBuf};

use super::files::{VerifyError, public_key_in};
use super::kept::{KeptCheckpoint, Place};
use super::report::{Comparison, Verdict};
use super::verifier::{Progress, verify_against};
use crate::checkpoint::segment_checkpoint::segment_checkpoint_path;
use crate::checkpoint::statement::key_change::{KeyHistory, TrustedKeys};
use crate::format::corruption::ReadError;
use crate::format::names::{self, CHECKPOINT};
use crate::read::source::Source;

/// What is verified against what. The checkpoints beside the log are always compared.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The directory of the log, or of a copy.
    pub directory: PathBuf,
    /// Files that the service keeps copies of the newest checkpoint in.
    pub copies: Vec<PathBuf>,
    /// Files with checkpoints that were kept elsewhere; they need a key.
    pub checkpoints: Vec<PathBuf>,
    /// Files with the public keys that the log has had. Without one no signature is checked.
    pub public_keys: Vec<PathBuf>,
    /// Whether checkpoints and segments may be missing.
    pub allow_missing: bool,
}

impl VerifyOptions {
    /// Verifies the log and compares it with every checkpoint there is.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be. Damage of the log is no error but a verdict.
    pub fn run(&self, progress: impl FnMut(Progress)) -> Result<Verdict, VerifyError> {
        let Self { directory, .. } = self;
        let unreadable =
            |error: ReadError| VerifyError::new("cannot read the audit log", directory)(error.into());
        let known = self.public_keys.iter().map(|file| public_key_in(file)).collect::<Result<Vec<_>, _>>()?;
        let keys = TrustedKeys::new(&KeyHistory::read(directory).map_err(unreadable)?, &known);
        // Checkpoints first: no log that is read after them can lack what they cover.
        let (mut kept, mut missing) = (Vec::new(), Vec::new());
        for file in &self.checkpoints {
            kept.push(KeptCheckpoint::read(Place::Given(shown(file)), file, &keys)?);
        }
        let newest = directory.join(CHECKPOINT);
        let mut covered = 0;
        if newest.exists() {
            let newest = KeptCheckpoint::read(Place::Log, &newest, &keys)?;
            covered = newest.head.size;
            kept.push(newest);
        } else {
            missing.push("the checkpoint beside the log".to_owned());
        }
        for file in &self.copies {
            if file.exists() {
                kept.push(KeptCheckpoint::read(Place::Copy(shown(file)), file, &keys)?);
            } else {
                missing.push(format!("the copy of the checkpoint {}", file.display()));
            }
        }
        let firsts = Source::open(directory).and_then(|source| source.firsts()).map_err(unreadable)?;
        for (index, &first) in firsts.iter().enumerate() {
            let file = segment_checkpoint_path(directory, first);
            if file.exists() {
                kept.push(KeptCheckpoint::read(Place::Segment, &file, &keys)?);
            } else if firsts.get(index + 1).is_some_and(|&next| next <= covered) {
                missing.push(format!("the checkpoint of {}", names::segment(first)));
            }
        }
        let heads: Vec<_> = kept.iter().map(|one| one.head).collect();
        let report = verify_against(directory, &heads, progress).map_err(unreadable)?;
        let comparison =
            Comparison { kept, missing, has_key: !keys.is_empty(), allow_missing: self.allow_missing };
        Ok(Verdict::new(&report, comparison))
    }
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

impl Progress {
    /// A bar for a terminal, drawn over the one before; its last form ends the line.
    pub fn bar(&self) -> String {
        let Self { records, bytes, total_bytes } = *self;
        let percent = bytes.saturating_mul(100).checked_div(total_bytes).unwrap_or(100).min(100);
        let filled = "#".repeat(usize::try_from(percent * 2 / 5).unwrap_or_default());
        let end = if bytes >= total_bytes { "\n" } else { "" };
        format!("\r{percent:>3} % [{filled:<40}] {records} records{end}")
    }
}
