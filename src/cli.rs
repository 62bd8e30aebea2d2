//! The commands (`avs-kms --help`): arguments, output, exit statuses.
//!
//! The only module that talks to the terminal. Not for: the operations themselves; commands send the
//! same requests as clients, through the local router.

mod admin;
mod audit;
mod backup;
mod doctor;
mod error;
mod exit;
mod health;
mod init;
mod keys;
mod output;
mod serve;
mod signer;
mod token;
mod values;

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand};

use self::admin::{access_token, freeze};
use self::error::CliError;
use self::output::{Output, say};
use self::signer::{login, sign_request};
use self::token::{rewrap, softhsm};
use crate::config::{self, Configuration};

pub use self::exit::ExitStatus;

/// Key management service for EigenLayer operators.
///
/// Creates BN254 BLS keys, stores them wrapped by a PKCS#11 token, signs with them over HTTP, and
/// writes a record to a tamper-evident log before it uses a key.
#[derive(Debug, Parser)]
#[command(
    name = "avs-kms",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = exit::help(),
    after_long_help = format!(
        "{}\n\nExample:\n  avs-kms --data ./var init && avs-kms --data ./var serve\n\n\
         Settings come from the file of --config and the environment (AVS_KMS__SERVER__LISTEN for server.listen).\n\
         `avs-kms serve --help` lists them.",
        exit::help()
    )
)]
struct Cli {
    /// Configuration file [default: none; the working directory is not searched]
    #[arg(long, global = true, env = "AVS_KMS_CONFIG", value_name = "FILE", help_heading = GLOBAL)]
    config: Option<PathBuf>,
    /// Data directory [default: data.directory of the configuration, /var/lib/avs-kms]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    data: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// What version 0.1 read without being asked to.
const UNNAMED: &str = "avs-kms.toml";

/// The heading of the options that every command has.
const GLOBAL: &str = "Global options";

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the data directory: token, PIN file, key-encryption key, store and audit log
    Init(init::Arguments),
    /// Run the service
    Serve(serve::Arguments),
    /// Create, list, rotate and destroy keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Issue, list and revoke access tokens
    #[command(subcommand)]
    AccessToken(access_token::Command),
    /// Stop every key from signing, at once and until `unfreeze`; restarts change nothing
    ///
    /// Also refused meanwhile: new keys and versions, registration proofs, and what schedules do.
    /// Reads, disable, retire, revoke and restore go on.
    #[command(after_help = "Example:\n  avs-kms freeze --reason \"host may be taken\"")]
    Freeze(freeze::Arguments),
    /// End the freeze: keys sign again
    #[command(after_help = "Example:\n  avs-kms unfreeze --reason \"false alarm\"")]
    Unfreeze(freeze::Arguments),
    /// Log in to a service with an EOA, and print or store the access token
    Login(login::Arguments),
    /// Sign one request with an EOA, and print the curl command that sends it
    SignRequest(sign_request::Arguments),
    /// Verify and read the audit log, without token and without the service
    #[command(subcommand)]
    Audit(audit::Command),
    /// Check the token and this host; the service must be stopped
    Doctor(doctor::Arguments),
    /// Repair a SoftHSM token
    #[command(subcommand)]
    Softhsm(softhsm::Command),
    /// Move all keys to another token, scheme or key-encryption key; stop the service first
    ///
    /// Every key is sealed again and proven on the new side before the old side is destroyed. Interrupted at any point,
    /// it continues where it was when it is repeated.
    #[command(
        after_help = "Example:\n  systemctl stop avs-kms\n  sudo -u avs-kms avs-kms --config /etc/avs-kms/avs-kms.toml rewrap --to-config /etc/avs-kms/hsm.toml"
    )]
    Rewrap(rewrap::Arguments),
    /// Check whether the running service is ready
    #[command(
        after_help = "Example:\n  avs-kms health || logger -p daemon.err 'avs-kms is not ready'\n\nDo not restart on failure: a restart repairs no HSM."
    )]
    Health,
    /// Write store, audit log and SoftHSM token into one archive
    ///
    /// Not in it: PIN file, configuration, TLS files, webhook secret, the token of an HSM.
    #[command(after_help = "Example:\n  avs-kms backup kms-2026-11-25.tar.zst")]
    Backup(backup::Arguments),
    /// Restore an archive into a data directory that does not exist yet
    ///
    /// Compares the archive with --public-key; without it the command shows who signed the archive, and asks.
    #[command(
        after_help = "Example:\n  avs-kms --data /var/lib/avs-kms restore --public-key log.pub kms-2026-11-25.tar.zst"
    )]
    Restore(backup::RestoreArguments),
    /// Print the version
    Version,
}

/// The definition of the command line, for its documents.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process and ends it.
pub fn main() -> ! {
    hsm::end_process(run().code())
}

/// Runs the command line of this process.
fn run() -> ExitStatus {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let status = if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Done };
            // Nothing can be printed to a terminal that is closed.
            let _ = error.print();
            return status;
        }
    };
    match dispatch(cli) {
        Ok(()) => ExitStatus::Done,
        Err(error) => {
            say(error.message());
            error.status()
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), CliError> {
    let output = Output { json: cli.json };
    let mut overrides = Vec::new();
    if let Some(directory) = &cli.data {
        let text = directory.to_str().ok_or_else(|| CliError::usage("--data must be valid UTF-8"))?;
        overrides.push(("data.directory", text.to_owned()));
    }
    if let Command::Serve(serve::Arguments { listen: Some(address), .. }) = &cli.command {
        overrides.push(("server.listen", address.clone()));
    }
    let load_file = |file: Option<&Path>| config::load(file, &overrides);
    let load = || load_file(cli.config.as_deref());
    let configuration = || -> Result<Configuration, CliError> {
        if cli.config.is_none() && Path::new(UNNAMED).exists() {
            say(&format!("{UNNAMED} in the working directory is not read: name it with --config"));
        }
        load().map_err(|errors| CliError::usage(errors.to_string()))
    };
    match cli.command {
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            output.print(&serde_json::json!({"name": "avs-kms", "version": version}), || {
                format!("avs-kms {version}")
            });
            Ok(())
        }
        Command::Doctor(arguments) => doctor::run(&arguments, configuration()?, output),
        Command::Health => health::run(&configuration()?, output),
        Command::Backup(arguments) => backup::run(&arguments, &configuration()?, output),
        Command::Restore(arguments) => backup::restore(&arguments, &configuration()?, output),
        Command::Rewrap(arguments) => rewrap::run(&arguments, &configuration()?, &load_file, output),
        Command::Softhsm(command) => softhsm::run(&command, &configuration()?, output),
        Command::Init(arguments) => init::run(&arguments, &configuration()?, output),
        Command::Serve(arguments) => serve::run(configuration()?, &load, arguments.accepted),
        Command::Keys(command) => keys::run(&command, &configuration()?, output),
        Command::AccessToken(command) => access_token::run(&command, &configuration()?, output),
        Command::Freeze(arguments) => freeze::run(true, &arguments, &configuration()?, output),
        Command::Unfreeze(arguments) => freeze::run(false, &arguments, &configuration()?, output),
        Command::Login(arguments) => login::run(&arguments, output),
        Command::SignRequest(arguments) => sign_request::run(&arguments, output),
        Command::Audit(command) => audit::run(&command, &configuration()?, output),
    }
}
