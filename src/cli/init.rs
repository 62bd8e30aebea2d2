//! `avs-kms init`: makes what `serve` needs, and refuses what is there already.
//!
//! The store comes last: a data directory without one was not finished, and `serve` says so.

use std::fs;
use std::os::unix::fs::DirBuilderExt;

use clap::Args;
use serde_json::json;

use super::error::Failed;
use super::output::Output;
use super::serve::data_lock::DataLock;
use super::serve::open::{audit_settings, enclave_settings, softhsm_token, with_softhsm_environment};
use super::serve::sandbox::drop_privileges;
use crate::config::Configuration;
use crate::store::Store;
use audit_log::AuditLog;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Take over a token that an earlier init, interrupted later, has finished; refused where it holds any key.
    #[arg(long)]
    adopt: bool,
}

pub(super) fn run(
    arguments: &Arguments,
    configuration: &Configuration,
    output: Output,
) -> Result<(), Failed> {
    let directory = &configuration.data.directory;
    refuse_what_exists(configuration)?;
    with_softhsm_environment(configuration)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| Failed::while_trying(format!("cannot make {}", directory.display()), &error))?;
    let _lock = DataLock::acquire(&configuration.data)?.map_err(|held| held.failed(&configuration.data))?;

    if let Some(plan) = softhsm_token(configuration)? {
        hsm::make_softhsm_token(&plan)
            .map_err(|error| Failed::while_trying("cannot make the SoftHSM token", &error))?;
    }
    // From here on the copy of token.object stays good: without privileges no login rewrites the file.
    drop_privileges(configuration)?;
    let settings = enclave_settings(configuration);
    let initialised =
        if arguments.adopt { hsm::Enclave::adopt(&settings) } else { hsm::Enclave::initialise(&settings) };
    let initialised = initialised.map_err(|error| {
        let finished = matches!(error, hsm::OpenError::AlreadyInitialised { .. }) && !arguments.adopt;
        let hint = match finished {
            true => "; if an earlier init was interrupted, `avs-kms init --adopt` goes on with what it made",
            false => "",
        };
        Failed::while_trying("cannot initialise the token", &error).hinting(hint)
    })?;
    AuditLog::create(&audit_settings(configuration))
        .map_err(|error| Failed::while_trying("cannot make the audit log", &error))?;
    Store::create(&configuration.data.store())
        .map_err(|error| Failed::while_trying("cannot make the store", &error))?;
    let facts = json!({
        "data": directory,
        "token_label": initialised.token_label,
        "token_serial": initialised.token_serial,
        "kek_label": initialised.kek_label,
        "pin_file": configuration.token.pin_file,
    });
    output.print(&facts, || {
        format!(
            "made {}: token {} (serial {}), PIN in {}, key-encryption key {}, audit log, store",
            directory.display(),
            initialised.token_label,
            initialised.token_serial,
            configuration.token.pin_file.display(),
            initialised.kek_label,
        )
    });
    Ok(())
}

fn refuse_what_exists(configuration: &Configuration) -> Result<(), Failed> {
    let directory = &configuration.data.directory;
    if configuration.data.store().exists() {
        return Err(Failed::new(format!(
            "{} is a data directory already; init never touches one",
            directory.display()
        )));
    }
    // The re-executed process meets its own empty directory; the lock file is nobody's data.
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(Failed::while_trying(format!("cannot read {}", directory.display()), &error));
        }
    };
    let ours = ["lock", "token.lock", "lost+found"];
    // The PIN of an HSM is there before anything else is.
    let pin = configuration.token.softhsm_conf.is_none().then_some(&configuration.token.pin_file);
    let foreign = entries
        .filter_map(Result::ok)
        .filter(|entry| pin.is_none_or(|pin| entry.path() != *pin))
        .find(|entry| ours.iter().all(|name| entry.file_name() != *name));
    match foreign {
        None => Ok(()),
        Some(entry) => Err(Failed::new(format!(
            "{} is not empty (it has {}). If an earlier init was interrupted and no key was ever made, \
             remove the directory and run init again",
            directory.display(),
            entry.file_name().to_string_lossy(),
        ))),
    }
}
