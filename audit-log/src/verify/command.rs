//! The verify command, shared by the service's program and the stand-alone verifier: files in,
//! verdict out.

use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use super::report::Verdict;
use super::verifier::{Progress, verify_against};
use crate::checkpoint::key::VerifierKey;
use crate::checkpoint::segment_checkpoint::checkpoint_files;
use crate::checkpoint::signed::{CheckpointError, SignedCheckpoint};

/// What is verified against what.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// The directory of the log, or of a copy.
    pub directory: PathBuf,
    /// Files with checkpoints that were kept elsewhere; they need a key.
    pub checkpoints: Vec<PathBuf>,
    /// Files with the public keys that the log has had.
    pub public_keys: Vec<PathBuf>,
}

/// Why there is no verdict.
#[derive(Debug, Error)]
#[error("{doing}")]
pub struct VerifyError {
    /// What was tried.
    pub doing: String,
    /// Why it failed.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl VerifyError {
    fn new(doing: &str, path: &Path) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> Self {
        let doing = format!("{doing} {}", path.display());
        move |source| Self { doing, source }
    }

    /// What was tried, and all that caused the failure.
    pub fn message(&self) -> String {
        let mut message = self.doing.clone();
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&*self.source);
        while let Some(error) = next {
            message.push_str(": ");
            message.push_str(&error.to_string());
            next = error.source();
        }
        message
    }
}

impl VerifyOptions {
    /// Verifies the log, compares it with the checkpoints and, where there is a key, with those
    /// beside the log.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be. Damage of the log is no error but a verdict.
    pub fn run(&self, progress: impl FnMut(Progress)) -> Result<Verdict, VerifyError> {
        let Self { directory, .. } = self;
        let unreadable = || VerifyError::new("cannot read the audit log", directory);
        let keys = self.public_keys.iter().map(|file| public_key_in(file)).collect::<Result<Vec<_>, _>>()?;
        let signed = |files: &[PathBuf]| -> Result<Vec<_>, VerifyError> {
            files.iter().map(|file| checkpoint_in(file, &keys)).collect()
        };
        let kept = signed(&self.checkpoints)?;
        let beside = match &keys[..] {
            [] => Vec::new(),
            _ => signed(&checkpoint_files(directory).map_err(|error| unreadable()(error.into()))?)?,
        };
        let report = verify_against(directory, &[&kept[..], &beside].concat(), progress)
            .map_err(|error| unreadable()(error.into()))?;
        Ok(Verdict::new(&report, &kept))
    }
}

fn read(file: &Path) -> Result<String, VerifyError> {
    std::fs::read_to_string(file).map_err(|error| VerifyError::new("cannot read", file)(error.into()))
}

/// The public key in a file of one line.
///
/// # Errors
/// When the file cannot be read or holds no key.
pub fn public_key_in(file: &Path) -> Result<VerifierKey, VerifyError> {
    let key = read(file)?.trim().parse::<VerifierKey>();
    key.map_err(|error| VerifyError::new("cannot use", file)(error.into()))
}

/// A signed note, or the answer of `GET /v1/audit/checkpoint` with one in it.
fn checkpoint_in(file: &Path, keys: &[VerifierKey]) -> Result<SignedCheckpoint, VerifyError> {
    let text = read(file)?;
    let note = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|value| value.get("checkpoint").and_then(Value::as_str).map(str::to_owned))
        .unwrap_or(text);
    let mut opened = Err(CheckpointError::Form);
    for key in keys {
        opened = key.open(note.as_bytes());
        if opened.is_ok() {
            break;
        }
    }
    opened.map_err(|error| VerifyError::new("cannot use", file)(error.into()))
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
