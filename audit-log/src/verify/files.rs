//! Files that a verification reads, and why one cannot be used.

use std::io;
use std::path::Path;

use thiserror::Error;

use crate::checkpoint::key::VerifierKey;
use crate::storage::atomic_write::read_optional;

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
    pub(super) fn new(
        doing: &str,
        path: &Path,
    ) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> Self {
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

pub(super) fn read(file: &Path) -> Result<String, VerifyError> {
    std::fs::read_to_string(file).map_err(|error| VerifyError::new("cannot read", file)(error.into()))
}

/// A file that the service wrote. Another hand may have put a pipe there, which is not waited for.
pub(super) fn read_own(file: &Path) -> Result<String, VerifyError> {
    let bytes = read_optional(file).and_then(|bytes| {
        let text = String::from_utf8(bytes.ok_or_else(|| io::Error::other("it is not a regular file"))?);
        text.map_err(io::Error::other)
    });
    bytes.map_err(|error| VerifyError::new("cannot read", file)(error.into()))
}

/// The public key in a file of one line.
///
/// # Errors
/// When the file cannot be read or holds no key.
pub fn public_key_in(file: &Path) -> Result<VerifierKey, VerifyError> {
    let key = read(file)?.trim().parse::<VerifierKey>();
    key.map_err(|error| VerifyError::new("cannot use", file)(error.into()))
}
