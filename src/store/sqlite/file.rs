//! The store's file before the token is asked.

use std::fmt;
use std::path::Path;

use super::records::SqliteRecords;
use super::reserve::SharedFile;
use super::schema;
use crate::store::error::StoreError;

/// An open file whose rows are not verified yet: what can be checked before the token is asked.
pub struct SqliteFile(pub(super) SharedFile);

impl SqliteFile {
    /// Opens an existing store.
    ///
    /// # Errors
    /// When the file is missing, damaged or of another schema version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || schema::open(&path).map(SharedFile::over));
        Ok(Self(opened.await??))
    }

    /// Id of the installation that the file names. Nothing proves it before the rows are verified.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn installation(&self) -> Result<[u8; 16], StoreError> {
        schema::installation(&self.0.lock().connection)
    }

    /// The wrapped records in the file.
    pub fn records(&self) -> SqliteRecords {
        SqliteRecords(self.0.clone())
    }
}

impl fmt::Debug for SqliteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteFile").finish_non_exhaustive()
    }
}
