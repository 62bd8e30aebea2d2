//! The examination of token and log, in a process of its own.

use std::sync::Arc;

use serde_json::{Value, json};

use super::before_init::Rehearsal;
use super::process::Place;
use super::store;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::serve::open::environment::with_module_environment;
use crate::cli::serve::open::stall::CallWatch;
use crate::cli::serve::open::token::enclave_settings;
use crate::cli::serve::sandbox::{drop_privileges, sandbox};
use crate::config::Configuration;
use crate::service::{compare_log, public_key_of};
use crate::store::SqliteRecords;

/// Gives a report, or why there is none.
pub(super) fn run(place: Place, try_pin: bool, configuration: Configuration) -> Value {
    match examine(place, try_pin, configuration) {
        Ok(report) => report,
        Err(error) => json!({"error": error.message(), "pin_refused": error.is_of_pin()}),
    }
}

fn examine(place: Place, try_pin: bool, mut configuration: Configuration) -> Result<Value, CliError> {
    let rehearsal = Rehearsal::prepare(&mut configuration)?;
    let configuration = &configuration;
    with_module_environment(configuration)?;
    match place {
        // As `serve` does before it opens the token.
        Place::Inside => {
            let mut sandbox = sandbox(configuration);
            // For a check of the host.
            sandbox.read.push("/proc/swaps".into());
            let _confined =
                sandbox.confine().map_err(|error| CliError::context("cannot close the sandbox", &error))?;
        }
        Place::Outside => drop_privileges(configuration)?,
    }
    let tell = |said: &str| {
        let answer = json!({"error": said, "pin_refused": false});
        Output { json: true }.print(&answer, String::new);
    };
    let _watch = CallWatch::begin(configuration, tell)?;
    let failed = |error| CliError::token("cannot open the token", &error);
    if let Some(rehearsal) = &rehearsal {
        rehearsal.make_token(configuration)?;
        let records =
            SqliteRecords::in_memory().map_err(|error| CliError::context("cannot make records", &error))?;
        let settings = with_pin(enclave_settings(configuration, Some(Arc::new(records))), try_pin);
        let rehearsed = hsm::Enclave::rehearse(&settings, rehearsal.own).map_err(failed)?;
        return Ok(report(&rehearsed, false));
    }
    let (records, store) = store::open(configuration)?;
    let settings = with_pin(enclave_settings(configuration, records), try_pin);
    let mut examined = hsm::Enclave::examine(&settings).map_err(failed)?;
    examined.checks.extend(store);
    examined.checks.extend(log_check(configuration, &examined));
    Ok(report(&examined, true))
}

fn with_pin(settings: hsm::Settings, try_pin: bool) -> hsm::Settings {
    let pin_use = if try_pin { hsm::PinUse::TryOnce } else { settings.pin_use };
    hsm::Settings { pin_use, ..settings }
}

/// Compares the audit log with what token and checkpoints remember of it, as `serve` does.
fn log_check(configuration: &Configuration, examined: &hsm::Diagnostics) -> Option<hsm::DiagnosticCheck> {
    let audit = &configuration.audit;
    let key = examined.checkpoint_key.filter(|_| audit.directory.exists())?;
    let files: Vec<_> = audit.checkpoint_file.iter().cloned().collect();
    // Records outside the token: it may keep no anchor, which is a warning of its own.
    let anchors = examined.audit_anchors.clone();
    let anchors = (examined.location == Some("token") || !anchors.is_empty()).then_some(anchors);
    let compared = compare_log(&audit.directory, &files, public_key_of(key), anchors);
    let (passed, found) = match compared {
        Ok(lost) if lost.is_empty() => (true, "compared with the token and every checkpoint".to_owned()),
        Ok(lost) => (false, lost.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        Err(error) => (false, CliError::context("cannot read the audit log", &error).message().to_owned()),
    };
    let what = "the audit log is the one that the token and the checkpoints know";
    Some(hsm::DiagnosticCheck { what, passed, fatal: false, found })
}

fn report(examined: &hsm::Diagnostics, initialised: bool) -> Value {
    let checks: Vec<_> = examined.checks.iter().map(check).collect();
    json!({
        "initialised": initialised,
        "library": examined.library,
        "token_label": examined.token_label,
        "token_serial": examined.token_serial,
        "pin": examined.pin,
        "sessions": examined.sessions,
        "scheme": examined.scheme,
        "variant": examined.variant,
        "location": examined.location,
        "checkpoint_key": examined.checkpoint_key_kind,
        "secret_memory": examined.secret_memory.as_str(),
        "keys": examined.keys,
        "damaged": examined.findings.unreadable.len(),
        "incomplete": examined.findings.incomplete,
        "foreign": examined.findings.foreign,
        "checks": checks,
    })
}

/// One check as the report has it.
pub(super) fn check(check: &hsm::DiagnosticCheck) -> Value {
    json!({"what": check.what, "passed": check.passed, "fatal": check.fatal, "found": check.found})
}
