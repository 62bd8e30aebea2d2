//! `avs-kms softhsm restore`: repairs a token whose file a kill has destroyed.
//!
//! SoftHSM rewrites `token.object` in place at every login. A process that is killed during it leaves
//! the file empty, and no key can be used until the copy is put back.

use clap::Subcommand;
use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::serve::data_lock::DataLock;
use crate::cli::serve::open::token::softhsm_token;
use crate::config::Configuration;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Put back the copy of a token file that a kill during login destroyed; stop the service first
    #[command(
        after_help = "Example:\n  systemctl stop avs-kms\n  sudo -u avs-kms avs-kms --config /etc/avs-kms/avs-kms.toml softhsm restore"
    )]
    Restore,
}

pub(in crate::cli) fn run(
    command: &Command,
    configuration: &Configuration,
    output: Output,
) -> Result<(), CliError> {
    let Command::Restore = command;
    let _lock = DataLock::acquire(&configuration.data)?.map_err(|held| held.error(&configuration.data))?;
    let plan = softhsm_token(configuration)?
        .ok_or_else(|| CliError::usage("pkcs11.module is not SoftHSM: there is nothing to restore"))?;
    let restored = hsm::restore_softhsm_token(&plan)
        .map_err(|error| CliError::context("cannot restore the token", &error))?;
    output.print(&json!({"restored": restored}), || {
        if restored.is_empty() {
            "nothing was damaged".to_owned()
        } else {
            format!("restored {}", restored.join(", "))
        }
    });
    Ok(())
}
