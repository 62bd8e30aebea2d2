//! Files that no other user can change: opening for reading, durable replacement.
//!
//! What the service believes (its configuration, the PKCS#11 module, secrets) must belong to root or
//! to the user of the process, and so must each directory and link on the way to it. Not for: what
//! is in the files.

mod atomic;
mod error;
mod open;
mod trust;
mod walk;

pub use atomic::{AtomicFile, sync_directory, sync_file_system, write_atomically};
pub use error::{FileError, FileProblem};
pub use open::{check_directory, open, open_append, open_update, read_secret};
pub use trust::Readers;
