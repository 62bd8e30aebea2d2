//! Id of an installation, as everything that an operator signs for it names it.
//!
//! Two services may have the same URL, such as the default one; their installation ids differ. `init` makes the id. The
//! token keeps it in the authenticated record of the store key, the store and the audit log name it. Not the log's id.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// 16 random bytes, written as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstallationId([u8; 16]);

/// The text is no installation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an installation id is 32 lower-case hex digits, as `avs-kms init` and the login challenge show it")]
pub struct ParseInstallationError;

impl InstallationId {
    /// The id with these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstallationId({self})")
    }
}

impl FromStr for InstallationId {
    type Err = ParseInstallationError;

    fn from_str(text: &str) -> Result<Self, ParseInstallationError> {
        let mut bytes = [0; 16];
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ParseInstallationError);
        }
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseInstallationError)?;
        Ok(Self(bytes))
    }
}
