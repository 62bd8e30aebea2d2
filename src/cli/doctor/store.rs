//! The store in the eyes of `doctor`: whether it can be opened, and the wrapped records in it. Not for its rows.

use std::sync::Arc;

use crate::cli::error::CliError;
use crate::config::Configuration;
use crate::store::{SqliteFile, SqliteRecords};

/// The wrapped records in the store, and whether it can be opened. Neither before `init`.
pub(super) fn open(
    configuration: &Configuration,
) -> Result<(Option<Arc<SqliteRecords>>, Option<hsm::DiagnosticCheck>), CliError> {
    let path = configuration.data.store();
    if !path.exists() {
        return Ok((None, None));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| CliError::context("cannot start threads", &error))?;
    let opened = runtime.block_on(SqliteFile::open(&path));
    let check = |passed, found| {
        let what = "the store can be opened";
        Some(hsm::DiagnosticCheck { what, passed, fatal: true, found })
    };
    Ok(match opened {
        Ok(file) => (Some(Arc::new(file.records())), check(true, path.display().to_string())),
        Err(error) => (None, check(false, CliError::context(path.display(), &error).message().to_owned())),
    })
}
