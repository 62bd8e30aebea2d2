//! `avs-kms doctor`: what the configured token and this host can do. Before `init` it tries what that needs.
//!
//! The token is examined by another process inside the sandbox of `serve`; if that fails, by one more
//! outside.

mod before_init;
mod examination;
mod process;
mod report;
mod store;
mod vendors;

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use self::process::Place;
use self::report::{failed_checks, is_fit, print};
use super::error::CliError;
use super::init::footprint::Footprint;
use super::output::Output;
use super::serve::data_lock::DataLock;
use super::serve::open::token::softhsm_token;
use super::serve::sandbox::{profile, sandbox};
use crate::config::Configuration;
use crate::sandbox::{self as confinement, Landlock, Profile};

const HELP: &str = "\
Each check is ok, WARN or FAIL. Before `init` it tries all that `init` needs, says what `init` would
choose, and destroys what it made for that.

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
    /// Examine in this process; this program starts itself with it
    #[arg(long, hide = true, value_enum)]
    examine: Option<Place>,
}

/// An examination that lasts for more than this many stalls never ends.
const PATIENCE: u32 = 300;

/// Checks the token and the host. Needs the token for itself: the service must not run.
pub(super) fn run(
    arguments: &Arguments,
    configuration: Configuration,
    output: Output,
) -> Result<(), CliError> {
    if let Some(place) = arguments.examine {
        let examined = examination::run(place, arguments.try_pin, configuration);
        Output { json: true }.print(&examined, String::new);
        return Ok(());
    }
    let configuration = &configuration;
    let data = &configuration.data;
    if !data.store().exists() {
        return before_init(configuration, output);
    }
    let _lock = DataLock::acquire(data)?.map_err(|held| held.error(data))?;
    refuse_damaged_token(configuration)?;
    let mut report = examine(configuration)?;
    report::add(&mut report, &sandbox_checks(profile(configuration)));
    end(report, output, "the service cannot run with this token on this host: see FAIL")
}

/// Tries what `init` needs, and leaves nothing behind.
fn before_init(configuration: &Configuration, output: Output) -> Result<(), CliError> {
    let data = &configuration.data;
    let footprint = Footprint::make(data)?;
    let _lock = DataLock::acquire(data)?.map_err(|held| held.error(data))?;
    let rehearse = || {
        let checks = before_init::checks(configuration)
            .map_err(|error| CliError::context("cannot read the data directory", &error))?;
        let mut report = examine(configuration)?;
        report::add(&mut report, &checks);
        Ok(report)
    };
    let report = rehearse();
    let clean = before_init::clean_up(configuration);
    footprint.remove();
    let mut report = report?;
    clean?;
    report::add(&mut report, &sandbox_checks(profile(configuration)));
    end(report, output, "`avs-kms init` would fail, or the service could not run: see FAIL")
}

fn end(mut report: Value, output: Output, failed: &str) -> Result<(), CliError> {
    print(&mut report, output);
    match (is_fit(&report), failed_checks(&report).len()) {
        (true, 0) => Ok(()),
        (true, count) => Err(CliError::doubtful(format!("{count} check(s) gave a warning: see WARN"))),
        (false, _) => Err(CliError::new(failed)),
    }
}

/// Inside the sandbox; if the token does not work there, also outside, to tell which of the two is at fault.
fn examine(configuration: &Configuration) -> Result<Value, CliError> {
    let limit = PATIENCE * configuration.enclave.stall_timeout;
    let examine = |place| process::examine(place, limit);
    let profile = profile(configuration);
    if profile == Profile::Off {
        return examine(Place::Outside)?.map_err(CliError::new);
    }
    match examine(Place::Inside)? {
        Ok(mut report) if is_fit(&report) => {
            report::add(&mut report, &[in_sandbox(Ok(format!("profile {}", profile.name())))]);
            Ok(report)
        }
        Ok(report) => Ok(match examine(Place::Outside)? {
            Ok(outside) if is_fit(&outside) => {
                in_the_way(configuration, outside, &failed_checks(&report).join("; "))
            }
            Ok(_) | Err(_) => report,
        }),
        Err(error) => match examine(Place::Outside)? {
            Ok(outside) => Ok(in_the_way(configuration, outside, &error)),
            Err(_) => Err(CliError::new(error)),
        },
    }
}

/// The report from outside, with what is wrong inside.
fn in_the_way(configuration: &Configuration, mut outside: Value, error: &str) -> Value {
    let sandbox = sandbox(configuration);
    let named = configuration.pkcs11.environment.iter().map(|(_, value)| PathBuf::from(value));
    let files = vendors::files(&configuration.pkcs11.module).into_iter();
    let mut hidden: Vec<_> = files.chain(named.filter(|path| path.is_absolute())).collect();
    hidden.retain(|path| !sandbox.covers(path, true));
    hidden.sort();
    hidden.dedup();
    let cure = match hidden.as_slice() {
        [] => "name its files and directories in sandbox.extra_paths; `strace -f -e trace=%file` shows them"
            .to_owned(),
        paths => format!("add to sandbox.extra_paths: {paths:?}"),
    };
    let found = format!("{error}; outside the module works: the sandbox is in the way; {cure}");
    report::add(&mut outside, &[in_sandbox(Err(found))]);
    outside
}

fn in_sandbox(found: Result<String, String>) -> hsm::DiagnosticCheck {
    let (passed, found) = (found.is_ok(), found.unwrap_or_else(|found| found));
    hsm::DiagnosticCheck {
        what: "the token works inside the sandbox of the service",
        passed,
        fatal: true,
        found,
    }
}

fn refuse_damaged_token(configuration: &Configuration) -> Result<(), CliError> {
    let Some(plan) = softhsm_token(configuration)? else { return Ok(()) };
    let objects = hsm::softhsm_token_objects(&plan.layout)
        .map_err(|error| CliError::context("cannot read SoftHSM's files", &error))?;
    let Some(damaged) = objects.iter().find(|object| object.damaged) else { return Ok(()) };
    let hint = match damaged.copy {
        None => "there is no copy of it: restore a backup",
        Some(_) => "put its copy back: `avs-kms softhsm restore`",
    };
    Err(CliError::new(format!("{} is damaged", damaged.path.display())).with_hint(hint))
}

/// What this kernel offers to confine the service.
fn sandbox_checks(profile: Profile) -> [hsm::DiagnosticCheck; 2] {
    let (landlock, filter) = confinement::probe();
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
