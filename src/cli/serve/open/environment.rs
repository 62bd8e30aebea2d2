//! The environment of the PKCS#11 module, and the hardening of the process that loads it.
//!
//! A module reads its own environment, and setting a variable in place needs `unsafe`: the process is
//! replaced by one that has the variables.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use trusted_files::Readers;

use super::token::softhsm_layout;
use crate::cli::error::CliError;
use crate::config::Configuration;

/// Hardens this process. Where a variable of the module is not set, it first replaces the process by one
/// with all of them.
pub(in crate::cli) fn with_module_environment(configuration: &Configuration) -> Result<(), CliError> {
    with(variables(configuration)?)
}

/// The same for the modules of two configurations.
pub(in crate::cli) fn with_module_environments(
    one: &Configuration,
    other: &Configuration,
) -> Result<(), CliError> {
    let mut wanted = variables(one)?;
    for (name, value) in variables(other)? {
        match wanted.iter().find(|(known, _)| *known == name) {
            None => wanted.push((name, value)),
            Some((_, known)) if *known == value => {}
            Some(_) => {
                return Err(CliError::usage(format!(
                    "the PKCS#11 modules of both configurations need {} with different values, and a process has one: \
                     move by way of a token of another module",
                    name.display()
                )));
            }
        }
    }
    with(wanted)
}

fn with(wanted: Vec<(OsString, OsString)>) -> Result<(), CliError> {
    // Names are distinct, so the new process has them all and does not come here again.
    if wanted.iter().all(|(name, value)| std::env::var_os(name).as_ref() == Some(value)) {
        return harden();
    }
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(this_program()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).envs(wanted).exec();
    Err(CliError::context("cannot start this program again with the module's environment", &error))
}

/// The file of this program, to start it again.
pub(in crate::cli) fn this_program() -> Result<PathBuf, CliError> {
    std::env::current_exe().map_err(|error| CliError::context("cannot find this program's file", &error))
}

/// Those of `pkcs11.environment`, and where SoftHSM finds its tokens.
fn variables(configuration: &Configuration) -> Result<Vec<(OsString, OsString)>, CliError> {
    let pkcs11 = &configuration.pkcs11;
    let given = pkcs11.environment.iter().map(|(name, value)| (name.into(), value.into()));
    let mut variables: Vec<(OsString, OsString)> = given.collect();
    if let Some(layout) = softhsm_layout(configuration) {
        variables.push(("SOFTHSM2_CONF".into(), trusted_softhsm_conf(&layout)?.into()));
    }
    Ok(variables)
}

/// SoftHSM's configuration, where no other user can change it or the tokens.
fn trusted_softhsm_conf(layout: &hsm::SofthsmLayout) -> Result<PathBuf, CliError> {
    let path = &layout.configuration;
    let exists = path.exists();
    if exists {
        trusted_files::open(path, Readers::Everyone)
            .map_err(|error| CliError::context("cannot use pkcs11.softhsm_conf", &error))?;
    }
    if layout.tokens.exists() {
        trusted_files::check_directory(&layout.tokens)
            .map_err(|error| CliError::context("cannot use the tokens", &error))?;
        // A data directory that was moved or copied would use the tokens of the original. `init` makes a new one.
        if exists {
            hsm::configure_softhsm(layout)
                .map_err(|error| CliError::context("cannot use pkcs11.softhsm_conf", &error))?;
        }
    }
    Ok(path.clone())
}

/// Forbids core files and debuggers: the process will hold a PIN and, briefly, scalars.
fn harden() -> Result<(), CliError> {
    hsm::harden_process().map_err(|error| CliError::context("cannot harden this process", &error))
}
