//! `avs-kms init`: creates what `serve` needs, and refuses a directory that is in use.
//!
//! The store comes last: `serve` refuses a data directory without one, so an interrupted init is seen.

pub(super) mod remains;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use self::remains::Remains;
use super::error::CliError;
use super::output::Output;
use super::serve::data_lock::DataLock;
use super::serve::open::environment::with_module_environment;
use super::serve::open::token::{enclave_settings, softhsm_token};
use super::serve::open::{audit_settings, create_store};
use super::serve::sandbox::drop_privileges;
use crate::clock::Clock;
use crate::config::Configuration;
use crate::service::{Custody, sign_first};
use crate::store::SqliteRecords;
use audit_log::AuditLog;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  avs-kms --data /var/lib/avs-kms init")]
pub(super) struct Arguments {
    /// Resume an interrupted init; refused if the token already holds a key
    #[arg(long)]
    resume: bool,
}

pub(super) fn run(
    arguments: &Arguments,
    configuration: &Configuration,
    output: Output,
) -> Result<(), CliError> {
    let directory = &configuration.data.directory;
    refuse_what_exists(configuration)?;
    with_module_environment(configuration)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
        CliError::context(format!("cannot create {}", directory.display()), &error)
            .with_hint("name a directory that you may create with --data")
    })?;
    let _lock = DataLock::acquire(&configuration.data)?.map_err(|held| held.error(&configuration.data))?;

    if let Some(plan) = softhsm_token(configuration)? {
        hsm::make_softhsm_token(&plan)
            .map_err(|error| CliError::context("cannot create the SoftHSM token", &error))?;
    }
    // Without privileges no login rewrites token.object, so the copy of it stays valid.
    drop_privileges(configuration)?;
    let in_memory =
        SqliteRecords::in_memory().map_err(|error| CliError::context("cannot make records", &error))?;
    // The file of the store comes last: until then its records are in memory.
    let records = Arc::new(in_memory);
    let settings = enclave_settings(configuration, Some(Arc::clone(&records)));
    let initialised =
        if arguments.resume { hsm::Enclave::adopt(&settings) } else { hsm::Enclave::initialise(&settings) };
    let hsm::Initialised { report, store_key } = initialised.map_err(|error| {
        let interrupted = matches!(error, hsm::OpenError::AlreadyInitialised { .. }) && !arguments.resume;
        let failed = CliError::token("cannot initialise the token", &error);
        match interrupted {
            true => {
                failed.with_hint("if an earlier init was interrupted, `avs-kms init --resume` completes it")
            }
            false => failed,
        }
    })?;
    let audit = audit_settings(configuration);
    AuditLog::create(&audit).map_err(|error| CliError::context("cannot create the audit log", &error))?;
    first_checkpoint(&audit, settings, configuration.enclave.canary_interval)?;
    create_store(configuration, store_key, &records)
        .map_err(|error| CliError::context("cannot create the store", &error))?;
    let fields = json!({
        "data": directory,
        "installation": report.installation,
        "token_label": report.token_label,
        "token_serial": report.token_serial,
        "kek_label": report.kek_label,
        "scheme": report.scheme,
        "variant": report.variant,
        "checkpoint_key": report.checkpoint_key,
        "location": report.location,
        "pin_file": configuration.pkcs11.pin_file,
    });
    output.print(&fields, || {
        format!(
            "created {}: installation {}, token {} (serial {}), PIN in {}, wrapping key {}, scheme {}/{}, \
             checkpoint key {}, wrapped records in the {}, audit log, store",
            directory.display(),
            report.installation,
            report.token_label,
            report.token_serial,
            configuration.pkcs11.pin_file.display(),
            report.kek_label,
            report.scheme,
            report.variant,
            report.checkpoint_key,
            report.location,
        )
    });
    Ok(())
}

/// Signs the first checkpoint: from now on a log without one has been tampered with.
fn first_checkpoint(
    audit: &audit_log::Settings,
    settings: hsm::Settings,
    canary_interval: Duration,
) -> Result<(), CliError> {
    let enclave =
        hsm::Enclave::open(settings).map_err(|error| CliError::token("cannot open the new token", &error))?;
    let custody = Custody::new(enclave, canary_interval);
    let signed = sign_first(audit, &custody, &Clock::system());
    custody.close();
    signed.map_err(|error| {
        let cause = error.cause().unwrap_or_else(|| error.to_string());
        CliError::new(format!("cannot sign the first checkpoint of the audit log: {cause}"))
    })
}

fn refuse_what_exists(configuration: &Configuration) -> Result<(), CliError> {
    let directory = &configuration.data.directory;
    if configuration.data.store().exists() {
        return Err(CliError::new(format!(
            "{} is a data directory already; nothing was changed",
            directory.display()
        )));
    }
    // The replaced process finds its own directory, with lock files that hold no data.
    let remains = Remains::of(configuration)
        .map_err(|error| CliError::context(format!("cannot read {}", directory.display()), &error))?;
    remains.refusal(directory).map_or(Ok(()), |refusal| Err(CliError::new(refusal)))
}
