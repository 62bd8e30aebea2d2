//! `avs-kms backup` and `avs-kms restore`. Not for: the content of the archive (`backup`).

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::admin::local_socket::note_files;
use super::error::CliError;
use super::output::Output;
use super::serve::data_lock::DataLock;
use super::serve::open::softhsm_token;
use crate::backup::{self, BackupPaths, Manifest};
use crate::clock::Clock;
use crate::config::Configuration;
use crate::service::Maintenance;
use crate::store;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The archive, such as kms-2026-11-25.tar.zst
    #[arg(value_name = "FILE")]
    archive: PathBuf,
}

/// Writes an archive, also while the service runs.
pub(super) fn run(
    arguments: &Arguments,
    configuration: &Configuration,
    output: Output,
) -> Result<(), CliError> {
    let places = places(configuration)?;
    refuse_damaged_token(&places)?;
    let created_at = Clock::system().now().to_string();
    let manifest = backup::write(&places, &arguments.archive, created_at)
        .map_err(|error| CliError::context("no backup was written", &error))?;
    // A login during the copy may have rewritten the file, so that the archive has part of it.
    refuse_damaged_token(&places).inspect_err(|_| {
        let _ = std::fs::remove_file(&arguments.archive);
    })?;
    note_files(configuration, Maintenance::Backup, &arguments.archive, versions(&manifest));
    output.print(&json!(manifest), || {
        format!(
            "{}: {}. It does not hold the PIN: keep a copy of {} elsewhere",
            arguments.archive.display(),
            contents(&manifest),
            configuration.pkcs11.pin_file.display()
        )
    });
    Ok(())
}

/// Restores an archive into a data directory that does not exist yet.
pub(super) fn restore(
    arguments: &Arguments,
    configuration: &Configuration,
    output: Output,
) -> Result<(), CliError> {
    let places = places(configuration)?;
    let data = &configuration.data.directory;
    let manifest = backup::restore(&arguments.archive, data, &places)
        .map_err(|error| CliError::context("nothing was restored", &error))?;
    let lock = DataLock::acquire(&configuration.data)?.map_err(|held| held.error(&configuration.data))?;
    if let Some(plan) = softhsm_token(configuration)? {
        hsm::configure_softhsm(&plan)
            .map_err(|error| CliError::context("cannot write SoftHSM's configuration", &error))?;
    }
    drop(lock);
    note_files(configuration, Maintenance::Restore, &arguments.archive, versions(&manifest));
    output.print(&json!(manifest), || {
        format!(
            "{}: {}. Next, put the PIN file to {}, mode 0600, and run `avs-kms doctor`",
            data.display(),
            contents(&manifest),
            configuration.pkcs11.pin_file.display()
        )
    });
    Ok(())
}

fn versions(manifest: &Manifest) -> u64 {
    u64::try_from(manifest.key_versions).unwrap_or(u64::MAX)
}

fn contents(manifest: &Manifest) -> String {
    format!(
        "{} key versions, {} audit records, {} files, as of {}",
        manifest.key_versions,
        manifest.audit_records,
        manifest.files.len(),
        manifest.created_at
    )
}

fn places(configuration: &Configuration) -> Result<BackupPaths, CliError> {
    Ok(BackupPaths {
        store: configuration.data.store(),
        snapshot: store::snapshot,
        newest_change: store::newest_change,
        audit: configuration.audit.directory.clone(),
        token: softhsm_token(configuration)?.map(|plan| plan.directory),
    })
}

fn refuse_damaged_token(places: &BackupPaths) -> Result<(), CliError> {
    let Some(directory) = &places.token else { return Ok(()) };
    let objects = hsm::softhsm_token_objects(directory)
        .map_err(|error| CliError::context("cannot read SoftHSM's files", &error))?;
    match objects.iter().find(|object| object.damaged) {
        None => Ok(()),
        Some(damaged) => Err(CliError::new(format!(
            "{} is damaged or being rewritten; no backup was written; try again, or run `avs-kms softhsm restore`",
            damaged.path.display()
        ))),
    }
}
