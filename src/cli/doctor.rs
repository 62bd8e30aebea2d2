//! `avs-kms doctor`: what the configured token and this host can do.

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::output::Output;
use super::serve::data_lock::DataLock;
use super::serve::open::environment::with_module_environment;
use super::serve::open::token::{enclave_settings, softhsm_token};
use super::serve::sandbox::{drop_privileges, profile};
use crate::config::Configuration;
use crate::sandbox::{self, Landlock, Profile};
use crate::service::{compare_log, public_key_of};

const HELP: &str = "\
Each check is ok, WARN or FAIL.

Exit status:
  0  every check passed
  1  a check failed that the service needs, or the token cannot be opened
  3  a check gave a warning
  4  the token refused the PIN

Example:
  systemctl stop avs-kms
  sudo -u avs-kms avs-kms --config /etc/avs-kms/avs-kms.toml doctor";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Present the PIN once, also if the token refused it before or one wrong PIN more locks the token
    #[arg(long)]
    try_pin: bool,
}

/// Checks the token and the host. Needs the token for itself: the service must not run.
pub(super) fn run(
    arguments: &Arguments,
    configuration: &Configuration,
    output: Output,
) -> Result<(), CliError> {
    with_module_environment(configuration)?;
    drop_privileges(configuration)?;
    let _lock = DataLock::acquire(&configuration.data)?.map_err(|held| held.error(&configuration.data))?;
    refuse_damaged_token(configuration)?;
    let mut settings = enclave_settings(configuration);
    if arguments.try_pin {
        settings.pin_use = hsm::PinUse::TryOnce;
    }
    let mut examined =
        hsm::Enclave::examine(&settings).map_err(|error| CliError::token("cannot open the token", &error))?;
    examined.checks.extend(sandbox_checks(profile(configuration)));
    examined.checks.extend(log_check(configuration, &examined));
    print(&examined, output);
    let failed = examined.checks.iter().filter(|check| !check.passed).count();
    match (examined.is_fit(), failed) {
        (true, 0) => Ok(()),
        (true, count) => Err(CliError::doubtful(format!("{count} check(s) gave a warning: see WARN"))),
        (false, _) => Err(CliError::new("the service cannot run with this token on this host: see FAIL")),
    }
}

/// Compares the audit log with what token and checkpoints remember of it, as `serve` does.
fn log_check(configuration: &Configuration, examined: &hsm::Diagnostics) -> Option<hsm::DiagnosticCheck> {
    let audit = &configuration.audit;
    let key = examined.checkpoint_key.filter(|_| audit.directory.exists())?;
    let files: Vec<_> = audit.checkpoint_file.iter().cloned().collect();
    let compared = compare_log(&audit.directory, &files, public_key_of(key), examined.audit_anchors.clone());
    let (passed, found) = match compared {
        Ok(lost) if lost.is_empty() => (true, "compared with the token and every checkpoint".to_owned()),
        Ok(lost) => (false, lost.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        Err(error) => (false, CliError::context("cannot read the audit log", &error).message().to_owned()),
    };
    let what = "the audit log is the one that the token and the checkpoints know";
    Some(hsm::DiagnosticCheck { what, passed, fatal: false, found })
}

fn refuse_damaged_token(configuration: &Configuration) -> Result<(), CliError> {
    let Some(plan) = softhsm_token(configuration)? else { return Ok(()) };
    let objects = hsm::softhsm_token_objects(&plan.directory)
        .map_err(|error| CliError::context("cannot read SoftHSM's files", &error))?;
    let Some(damaged) = objects.iter().find(|object| object.damaged) else { return Ok(()) };
    let hint = match damaged.copy {
        None => "there is no copy of it: restore a backup",
        Some(_) => "put its copy back: `avs-kms softhsm restore`",
    };
    Err(CliError::new(format!("{} is damaged", damaged.path.display())).with_hint(hint))
}

fn print(examined: &hsm::Diagnostics, output: Output) {
    let checks: Vec<_> = examined
        .checks
        .iter()
        .map(|check| json!({"what": check.what, "passed": check.passed, "fatal": check.fatal, "found": check.found}))
        .collect();
    let fields = json!({
        "fit": examined.is_fit(),
        "library": examined.library,
        "token_label": examined.token_label,
        "token_serial": examined.token_serial,
        "pin": examined.pin,
        "sessions": examined.sessions,
        "scheme": examined.scheme,
        "variant": examined.variant,
        "secret_memory": examined.secret_memory.as_str(),
        "keys": examined.keys,
        "damaged": examined.findings.unreadable.len(),
        "incomplete": examined.findings.incomplete,
        "foreign": examined.findings.foreign,
        "checks": checks,
    });
    output.print(&fields, || {
        let (label, serial, pin) = (&examined.token_label, &examined.token_serial, examined.pin);
        let (keys, findings) = (examined.keys, &examined.findings);
        let mut lines = vec![
            format!("module   {}", examined.library),
            format!("token    {label} (serial {serial}), user PIN {pin}"),
            format!("sessions {}", examined.sessions),
            match (examined.scheme, examined.variant) {
                (Some(scheme), Some(variant)) => format!("scheme   {scheme}, {variant}"),
                _ => "scheme   none works".to_owned(),
            },
            format!(
                "objects  {keys} keys, {} incomplete objects, {} objects of other applications",
                findings.incomplete, findings.foreign
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
}

/// What this kernel offers to confine the service.
fn sandbox_checks(profile: Profile) -> [hsm::DiagnosticCheck; 2] {
    let (landlock, filter) = sandbox::probe();
    let files = landlock.as_ref().map_or("Landlock refused the rules", |landlock| landlock.describe());
    let passed = matches!(landlock, Ok(Landlock::Full | Landlock::Partial));
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
