//! Which SoftHSM token is wanted, and why it may not come about.

use std::io;
use std::path::PathBuf;

use crate::error::OpenError;
use crate::pkcs11::TokenError;
use crate::softhsm_layout::SofthsmLayout;

/// Where Debian's package `softhsm2` puts the module.
pub const SOFTHSM_MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A SoftHSM token as it is or will be.
#[derive(Clone, Debug)]
pub struct SofthsmToken {
    /// The module, usually [`SOFTHSM_MODULE`].
    pub module: PathBuf,
    /// Its files.
    pub layout: SofthsmLayout,
    /// Label of the token, at most 32 bytes.
    pub label: String,
    /// The user PIN; made with a random one where it is missing.
    pub pin_file: PathBuf,
    /// The same lock as [`crate::Settings::lock_file`]: a second process logging in can destroy the token.
    pub lock_file: PathBuf,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum MakeTokenError {
    /// The Debian package is not installed.
    #[error("{} is missing; install it: apt-get install -y softhsm2", module.display())]
    NoSofthsm {
        /// Where the module was looked for.
        module: PathBuf,
    },
    /// The process would use another configuration.
    #[error("SOFTHSM2_CONF must be {}", wanted.display())]
    Environment {
        /// What it must be.
        wanted: PathBuf,
    },
    /// An earlier attempt, or a crash, left something that must be looked at.
    #[error(
        "{what}; nothing was changed, and keys may be in it: restore the newest backup into a new directory, or name \
         another token or directory"
    )]
    Incomplete {
        /// What was found.
        what: String,
    },
    /// SoftHSM's configuration cannot name the directory of the tokens.
    #[error(
        "SoftHSM's configuration file cannot name {}: its syntax gives # and = a meaning, and ends at a line break; move \
         the directory to a path without them", path.display()
    )]
    Path {
        /// The directory.
        path: PathBuf,
    },
    /// Not 1 to 32 bytes.
    #[error("a token label has 1 to 32 bytes")]
    Label,
    /// A file or directory could not be read or made.
    #[error("{}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The token or its PIN file is unfit.
    #[error("the token cannot be used")]
    Token(#[from] OpenError),
}

impl From<TokenError> for MakeTokenError {
    fn from(error: TokenError) -> Self {
        Self::Token(error.into())
    }
}
