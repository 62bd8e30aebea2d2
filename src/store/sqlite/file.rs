//! The store's file before the token is asked.

use std::fmt;
use std::path::Path;

use rusqlite::Connection;

use super::schema;
use crate::store::error::StoreError;

/// An open file whose rows are not verified yet: what can be checked before the token is asked.
pub struct SqliteFile(pub(super) Connection);

impl SqliteFile {
    /// Opens an existing store.
    ///
    /// # Errors
    /// When the file is missing, damaged or of another schema version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        Ok(Self(tokio::task::spawn_blocking(move || schema::open(&path)).await??))
    }

    /// Id of the installation that the file names. Nothing proves it before the rows are verified.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn installation(&self) -> Result<[u8; 16], StoreError> {
        schema::installation(&self.0)
    }
}

impl fmt::Debug for SqliteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteFile").finish_non_exhaustive()
    }
}
