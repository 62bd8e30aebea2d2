//! `avs-kms doctor` and `avs-kms token-restore`: what a slot can do, and SoftHSM's own wound.
//!
//! SoftHSM rewrites `token.object` in place at every login: a process that is killed in between leaves it empty,
//! and every key is out of reach until the copy is put back.

use serde_json::json;

use super::error::Failed;
use super::output::Output;
use super::serve::data_lock::DataLock;
use super::serve::open::{enclave_settings, softhsm_token, with_softhsm_environment};
use super::serve::sandbox::{drop_privileges, profile};
use crate::config::Configuration;
use crate::sandbox::{self, Landlock, Profile};

/// Probes the slot and the host. Needs the token for itself: the service must not run.
pub(super) fn run(configuration: &Configuration, output: Output) -> Result<(), Failed> {
    with_softhsm_environment(configuration)?;
    drop_privileges(configuration)?;
    let _lock = DataLock::acquire(&configuration.data)?.map_err(|held| held.failed(&configuration.data))?;
    if let Some(plan) = softhsm_token(configuration)? {
        let objects = hsm::softhsm_token_objects(&plan.directory)
            .map_err(|error| Failed::while_trying("cannot look at SoftHSM's files", &error))?;
        if let Some(damaged) = objects.iter().find(|object| object.damaged) {
            let copy = damaged
                .copy
                .as_ref()
                .map_or("there is no copy of it", |_| "avs-kms token-restore puts its copy back");
            return Err(Failed::new(format!("{} is damaged; {copy}", damaged.path.display())));
        }
    }
    let mut examined = hsm::Enclave::examine(&enclave_settings(configuration))
        .map_err(|error| Failed::while_trying("cannot open the token", &error))?;
    examined.checks.extend(sandbox_checks(profile(configuration)));
    let checks: Vec<_> = examined
        .checks
        .iter()
        .map(|check| json!({"what": check.what, "passed": check.passed, "fatal": check.fatal, "found": check.found}))
        .collect();
    let facts = json!({
        "fit": examined.is_fit(),
        "library": examined.library,
        "token_label": examined.token_label,
        "token_serial": examined.token_serial,
        "pin": examined.pin,
        "sessions": examined.sessions,
        "scheme": examined.scheme,
        "secret_memory": format!("{:?}", examined.secret_memory),
        "keys": examined.keys,
        "damaged": examined.findings.damaged.len(),
        "incomplete": examined.findings.incomplete,
        "foreign": examined.findings.foreign,
        "checks": checks,
    });
    output.print(&facts, || {
        let mut lines = vec![
            format!("module   {}", examined.library),
            format!(
                "token    {} (serial {}), user PIN {}",
                examined.token_label, examined.token_serial, examined.pin
            ),
            format!("sessions {}", examined.sessions),
            format!("scheme   {}", examined.scheme.unwrap_or("none works")),
            format!(
                "objects  {} keys, {} incomplete objects, {} of others",
                examined.keys, examined.findings.incomplete, examined.findings.foreign
            ),
        ];
        lines.extend(examined.checks.iter().map(|check| {
            let mark = match (check.passed, check.fatal) {
                (true, _) => "ok  ",
                (false, false) => "WARN",
                (false, true) => "FAIL",
            };
            format!("{mark}     {}: {}", check.what, check.found)
        }));
        lines.push(format!("verdict  {}", if examined.is_fit() { "fit" } else { "not fit: see FAIL" }));
        lines.join("\n")
    });
    if examined.is_fit() { Ok(()) } else { Err(Failed::new("the slot is not fit")) }
}

/// What this kernel gives to confine the service with.
fn sandbox_checks(profile: Profile) -> [hsm::DiagnosticCheck; 2] {
    let (landlock, filter) = sandbox::probe();
    let files = match &landlock {
        Ok(Landlock::Whole) => "Landlock, whole",
        Ok(Landlock::Partly) => "Landlock of an older kernel",
        Ok(Landlock::Missing | Landlock::NotAsked) => "the kernel has no Landlock",
        Err(_) => "Landlock refused its rules",
    };
    let passed = matches!(landlock, Ok(Landlock::Whole | Landlock::Partly));
    let calls = filter.as_ref().map_or_else(ToString::to_string, |()| "seccomp".to_owned());
    [
        hsm::DiagnosticCheck { what: "files can be confined", passed, fatal: false, found: files.to_owned() },
        hsm::DiagnosticCheck {
            what: "system calls can be confined",
            passed: filter.is_ok(),
            fatal: profile != Profile::Off,
            found: calls,
        },
    ]
}

/// Puts copies of damaged `token.object` files back.
pub(super) fn restore(configuration: &Configuration, output: Output) -> Result<(), Failed> {
    let _lock = DataLock::acquire(&configuration.data)?.map_err(|held| held.failed(&configuration.data))?;
    let plan = softhsm_token(configuration)?
        .ok_or_else(|| Failed::usage("the configured token is not SoftHSM's"))?;
    let restored = hsm::restore_softhsm_token(&plan)
        .map_err(|error| Failed::while_trying("cannot restore the token", &error))?;
    output.print(&json!({"restored": restored}), || {
        if restored.is_empty() {
            "nothing was damaged".to_owned()
        } else {
            format!("restored {}", restored.join(", "))
        }
    });
    Ok(())
}
