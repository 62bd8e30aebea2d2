//! `avs-kms backup` and `avs-kms restore`. Not for: the content of the archive (`backup`).

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use audit_log::{VerifierKey, public_key_in};
use clap::Args;
use serde_json::json;

use super::admin::local_socket::{LocalRequest, note_files, send};
use super::error::CliError;
use super::output::{Output, confirm, member, say};
use super::serve::data_lock::DataLock;
use super::serve::open::environment::with_module_environment;
use super::serve::open::token::softhsm_layout;
use crate::backup::{self, BackupError, BackupPaths, Manifest, Signature};
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

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    #[command(flatten)]
    backup: Arguments,
    /// File with the public key of the audit log, one line, kept elsewhere; repeat it if the log has had several
    ///
    /// The manifest of the archive must be signed by it, else nothing is restored.
    #[arg(long, value_name = "FILE")]
    public_key: Vec<PathBuf>,
    /// Restore without --public-key: believe the archive without asking
    #[arg(long)]
    yes: bool,
}

/// Writes an archive, also while the service runs.
pub(super) fn run(
    arguments: &Arguments,
    configuration: &Configuration,
    output: Output,
) -> Result<(), CliError> {
    with_module_environment(configuration)?;
    let places = places(configuration);
    refuse_damaged_token(configuration)?;
    let created_at = Clock::system().now().to_string();
    let sign = |manifest| sign(configuration, manifest);
    let (manifest, signature) = backup::write(&places, &arguments.archive, created_at, sign)
        .map_err(|error| CliError::context("no backup was written", &error))?;
    // A login during the copy may have rewritten the file, so that the archive has part of it.
    refuse_damaged_token(configuration).inspect_err(|_| {
        let _ = std::fs::remove_file(&arguments.archive);
    })?;
    note_files(configuration, Maintenance::Backup, &arguments.archive, versions(&manifest));
    if let Some(layout) = softhsm_layout(configuration).filter(|layout| layout.shared) {
        say(&format!(
            "the archive does not hold the token: SoftHSM keeps it in {}, with those of other programs; save it, too",
            layout.tokens.display()
        ));
    }
    output.print(&printed(&manifest, signature.as_ref()), || {
        format!(
            "{}: {}, {}. It does not hold the PIN: keep a copy of {} elsewhere",
            arguments.archive.display(),
            contents(&manifest),
            signer(signature.as_ref()),
            configuration.pkcs11.pin_file.display()
        )
    });
    Ok(())
}

/// Has the manifest signed by the running service, or by the token. Without a signature the archive is written all
/// the same: a backup is needed most while the token is away.
fn sign(configuration: &Configuration, manifest: [u8; 32]) -> Option<Signature> {
    let request = LocalRequest::post("/local/backup/sign", json!({"manifest": hex::encode(manifest)}));
    let signed = send(configuration, request).and_then(|response| {
        let key = member(&response, "/key").parse();
        let key = key.map_err(|error| CliError::context("the response names no key", &error))?;
        Ok(Signature { key, note: member(&response, "/note") })
    });
    signed
        .inspect_err(|error| {
            say(&format!(
                "the archive is not signed, and a restore cannot tell whether it was changed: {}",
                error.message()
            ));
        })
        .ok()
}

/// Whom a restore trusts.
struct Believed<'a> {
    keys: Vec<VerifierKey>,
    yes: bool,
    configuration: &'a Configuration,
}

impl backup::Restore for Believed<'_> {
    fn believe(&self, manifest: &Manifest, signature: Option<&Signature>) -> Result<(), BackupError> {
        let refused = |text: &str| Err(BackupError::Signature(text.to_owned()));
        match signature {
            Some(signature) if self.keys.contains(&signature.key) => {
                return Ok(());
            }
            Some(signature) if !self.keys.is_empty() => {
                let by = &signature.key;
                return refused(&format!("the archive is signed by another key than --public-key: {by}"));
            }
            None if !self.keys.is_empty() => return refused("the archive is not signed"),
            Some(_) | None => {}
        }
        let question = format!(
            "the archive of {} is {}. Is that what you expect? Anyone who can write the archive can name any key",
            manifest.created_at,
            signer(signature)
        );
        confirm(&question, self.yes).map_err(|error| BackupError::Signature(error.message().to_owned()))
    }

    fn prepare(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        softhsm_layout(self.configuration).map_or(Ok(()), |layout| Ok(hsm::configure_softhsm(&layout)?))
    }
}

/// Restores an archive into a data directory that does not exist yet.
pub(super) fn restore(
    arguments: &RestoreArguments,
    configuration: &Configuration,
    output: Output,
) -> Result<(), CliError> {
    let (places, archive) = (places(configuration), &arguments.backup.archive);
    let data = &configuration.data.directory;
    let keys = arguments.public_key.iter().map(|file| public_key_in(file)).collect::<Result<Vec<_>, _>>();
    let keys = keys.map_err(|error| CliError::new(error.message()))?;
    let believed = Believed { keys, yes: arguments.yes, configuration };
    let is_new = !data.exists();
    let manifest = with_data_lock(configuration, || {
        backup::restore(archive, data, &places, &believed)
            .map_err(|error| CliError::context("nothing was restored", &error))
    });
    let manifest = manifest.inspect_err(|_| {
        if is_new {
            let _ = std::fs::remove_file(configuration.data.lock());
            let _ = std::fs::remove_dir(data);
        }
    })?;
    note_files(configuration, Maintenance::Restore, archive, versions(&manifest));
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

/// Makes the data directory, so that two restores do not run at once.
fn with_data_lock<T>(
    configuration: &Configuration,
    work: impl FnOnce() -> Result<T, CliError>,
) -> Result<T, CliError> {
    let data = &configuration.data.directory;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(|error| CliError::context(format!("cannot create {}", data.display()), &error))?;
    let _lock = DataLock::acquire(&configuration.data)?.map_err(|held| held.error(&configuration.data))?;
    work()
}

/// Who signed an archive, for people.
fn signer(signature: Option<&Signature>) -> String {
    signature.map_or_else(|| "not signed".to_owned(), |signature| format!("signed by {}", signature.key))
}

fn printed(manifest: &Manifest, signature: Option<&Signature>) -> serde_json::Value {
    let mut printed = json!(manifest);
    if let Some(members) = printed.as_object_mut() {
        members.insert("signed_by".to_owned(), json!(signature.map(|signature| signature.key.to_string())));
    }
    printed
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

fn places(configuration: &Configuration) -> BackupPaths {
    BackupPaths {
        store: configuration.data.store(),
        snapshot: store::snapshot,
        newest_change: store::newest_change,
        audit: configuration.audit.directory.clone(),
        token: softhsm_layout(configuration).filter(|layout| !layout.shared).and_then(own_directory),
    }
}

/// The directory of tokens and copies.
fn own_directory(layout: hsm::SofthsmLayout) -> Option<PathBuf> {
    layout.tokens.parent().map(Path::to_owned)
}

fn refuse_damaged_token(configuration: &Configuration) -> Result<(), CliError> {
    let Some(layout) = softhsm_layout(configuration) else { return Ok(()) };
    let objects = hsm::softhsm_token_objects(&layout)
        .map_err(|error| CliError::context("cannot read SoftHSM's files", &error))?;
    match objects.iter().find(|object| object.damaged) {
        None => Ok(()),
        Some(damaged) => Err(CliError::new(format!(
            "{} is damaged or being rewritten; no backup was written; try again, or run `avs-kms softhsm restore`",
            damaged.path.display()
        ))),
    }
}
