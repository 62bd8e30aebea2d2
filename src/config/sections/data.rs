//! `[data]`.

use std::path::PathBuf;

use crate::config::kinds::PATH;
use crate::config::section_macro::section;

section! {
    /// The data directory.
    ["data"]
    pub struct Data {
        /// Directory of everything that must survive: the store, the audit log, the PIN file and,
        /// with SoftHSM, the token. Defaults call it `<data>`. `avs-kms backup` copies it, also while
        /// the service runs; the PIN file is not in the copy. It
        /// and each directory above it must belong to root or the user of the service, with no other
        /// writer.
        directory: PathBuf = "/var/lib/avs-kms", PATH;
    }
}

impl Data {
    /// The database of the store.
    pub fn store(&self) -> PathBuf {
        self.directory.join("store.sqlite")
    }

    /// The lock of the directory: one process at a time uses it.
    pub fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    /// The lock of the PKCS#11 token, held by the enclave.
    pub fn token_lock(&self) -> PathBuf {
        self.directory.join("token.lock")
    }

    /// PINs that the token refused: none is presented twice.
    pub fn refused_pins(&self) -> PathBuf {
        self.directory.join("pin-refused")
    }

    /// The socket of the running service for the commands of this host's administrator.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("admin.sock")
    }
}
