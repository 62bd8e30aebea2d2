//! `avs-kms init`: creates what `serve` needs, and refuses a directory that is in use.
//!
//! The store comes last: `serve` refuses a data directory without one, so an interrupted init is seen. A failure leaves
//! nothing; after a kill the next `init` removes what was left (`attempt`).

pub(super) mod attempt;
pub(super) mod footprint;
pub(super) mod remains;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use self::attempt::Attempt;
use self::footprint::Footprint;
use self::remains::Remains;
use super::error::CliError;
use super::output::{Output, member, say};
use super::serve::data_lock::DataLock;
use super::serve::open::environment::with_module_environment;
use super::serve::open::stall::CallWatch;
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
    /// Take over a token whose init was interrupted and whose data directory is lost; refused if it holds a key
    #[arg(long)]
    resume: bool,
    /// Take the token from the process that its lease names, which is gone for good
    #[arg(long)]
    take_over_token: bool,
}

pub(super) fn run(
    arguments: &Arguments,
    configuration: &Configuration,
    output: Output,
) -> Result<(), CliError> {
    refuse_what_exists(configuration)?;
    with_module_environment(configuration)?;
    let footprint = Footprint::make(&configuration.data)?;
    let _lock = DataLock::acquire(&configuration.data)?.map_err(|held| held.error(&configuration.data))?;
    let _watch = CallWatch::begin(configuration, say)?;
    let made = Attempt::begin(configuration, arguments.resume)
        .and_then(|attempt| make(arguments, attempt, configuration));
    match made {
        Ok(fields) => {
            output.print(&fields, || sentence(&fields));
            Ok(())
        }
        Err(failed) => {
            footprint.remove();
            Err(failed)
        }
    }
}

/// Makes everything; a failure leaves nothing of it.
fn make(arguments: &Arguments, attempt: Attempt, configuration: &Configuration) -> Result<Value, CliError> {
    let mut in_token = false;
    match make_all(arguments, &attempt, configuration, &mut in_token) {
        Ok(fields) => {
            attempt.end();
            Ok(fields)
        }
        Err(failed) => Err(attempt.undo(configuration, in_token, failed)),
    }
}

/// `in_token` tells when objects were made in the token that are not yet destroyed.
fn make_all(
    arguments: &Arguments,
    attempt: &Attempt,
    configuration: &Configuration,
    in_token: &mut bool,
) -> Result<Value, CliError> {
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
    let mut settings = enclave_settings(configuration, Some(Arc::clone(&records)));
    settings.lease.take_over = arguments.take_over_token;
    let hsm::Initialised { report, store_key } = hsm::Enclave::initialise_as(&settings, attempt.in_token()?)
        .map_err(|error| {
            *in_token = matches!(error, hsm::OpenError::Unfinished { .. });
            initialise_error(attempt, &error)
        })?;
    *in_token = true;
    let audit = audit_settings(configuration);
    AuditLog::create(&audit).map_err(|error| CliError::context("cannot create the audit log", &error))?;
    first_checkpoint(&audit, settings, configuration.enclave.canary_interval)?;
    create_store(configuration, store_key, &records)
        .map_err(|error| CliError::context("cannot create the store", &error))?;
    Ok(json!({
        "data": configuration.data.directory,
        "installation": report.installation,
        "token_label": report.token_label,
        "token_serial": report.token_serial,
        "kek_label": report.kek_label,
        "scheme": report.scheme,
        "variant": report.variant,
        "checkpoint_key": report.checkpoint_key,
        "location": report.location,
        "pin_file": configuration.pkcs11.pin_file,
    }))
}

fn initialise_error(attempt: &Attempt, error: &hsm::OpenError) -> CliError {
    let failed = CliError::token("cannot initialise the token", error);
    match (error, attempt.adopts()) {
        (hsm::OpenError::AlreadyInitialised { .. }, false) => failed.with_hint(
            "use another token, or restore the data directory of its installation; \
             `avs-kms init --resume` takes over a token that holds no key yet",
        ),
        _ => failed,
    }
}

fn sentence(fields: &Value) -> String {
    let text = |name: &str| member(fields, &format!("/{name}"));
    format!(
        "created {}: installation {}, token {} (serial {}), PIN in {}, wrapping key {}, scheme {}/{}, \
         checkpoint key {}, wrapped records in the {}, audit log, store",
        text("data"),
        text("installation"),
        text("token_label"),
        text("token_serial"),
        text("pin_file"),
        text("kek_label"),
        text("scheme"),
        text("variant"),
        text("checkpoint_key"),
        text("location"),
    )
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
