//! The commands (`avs-kms --help`), their output for people and programs, and exit codes.
//!
//! 0: done. 1: it failed. 2: wrong usage or configuration. The only module that talks to the terminal.
//! Not for: doing anything itself; commands go the same way as requests, through the local router.

mod admin;
mod audit;
mod backup;
mod doctor;
mod error;
mod health;
mod init;
mod keys;
mod output;
mod serve;
mod signer;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::admin::access_token;
use self::error::Failed;
use self::output::{Output, say};
use self::signer::{login, sign_request};
use crate::config::{self, Configuration};

/// Key management service for operators of EigenLayer AVSs.
#[derive(Debug, Parser)]
#[command(name = "avs-kms", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    /// The configuration file [default: avs-kms.toml, if it is there].
    #[arg(long, global = true, env = "AVS_KMS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory [default: ./var].
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the data directory: token, PIN file, key-encryption key, canary, store and audit log.
    Init(init::Arguments),
    /// Run the service.
    Serve(serve::Arguments),
    /// List, show and create keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Issue, list and revoke bearer tokens.
    #[command(subcommand)]
    Token(access_token::Command),
    /// Log in at a service with an EOA, and print or store the bearer token.
    Login(login::Arguments),
    /// Sign one request with an EOA, and print the curl line that sends it.
    Request(sign_request::Arguments),
    /// Check and read the audit log; needs no token and no running service.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Probe the configured slot and this host, and say what fits; the service must not run.
    Doctor,
    /// Put back the copy of a SoftHSM token that a kill during login destroyed; the service must not run.
    TokenRestore,
    /// Say whether the running service is ready, by exit status too.
    Health,
    /// Write everything that must survive into one archive, beside the running service; the PIN is not in it.
    Backup(backup::Arguments),
    /// Put an archive into a data directory that is not there yet.
    Restore(backup::Arguments),
    /// Print the version.
    Version,
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // A closed terminal cannot be told that it is closed.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            say(&failed.sentence);
            ExitCode::from(failed.code)
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), Failed> {
    let output = Output { json: cli.json };
    let mut overrides = Vec::new();
    if let Some(directory) = &cli.data {
        let text = directory.to_str().ok_or_else(|| Failed::usage("--data must be valid UTF-8"))?;
        overrides.push(("data.directory", text.to_owned()));
    }
    if let Command::Serve(serve::Arguments { listen: Some(address), .. }) = &cli.command {
        overrides.push(("server.listen", address.clone()));
    }
    let configuration = || -> Result<Configuration, Failed> {
        config::load(cli.config.as_deref(), &overrides)
            .map_err(|mistakes| Failed::usage(mistakes.to_string()))
    };
    match cli.command {
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            output.print(&serde_json::json!({"name": "avs-kms", "version": version}), || {
                format!("avs-kms {version}")
            });
            Ok(())
        }
        Command::Doctor => doctor::run(&configuration()?, output),
        Command::Health => health::run(&configuration()?, output),
        Command::Backup(arguments) => backup::run(&arguments, &configuration()?, output),
        Command::Restore(arguments) => backup::restore(&arguments, &configuration()?, output),
        Command::TokenRestore => doctor::restore(&configuration()?, output),
        Command::Init(arguments) => init::run(&arguments, &configuration()?, output),
        Command::Serve(arguments) => {
            let again = || config::load(cli.config.as_deref(), &overrides);
            serve::run(configuration()?, &again, arguments.accept_audit_rollback)
        }
        Command::Keys(command) => keys::run(&command, configuration()?, output),
        Command::Token(command) => access_token::run(&command, configuration()?, output),
        Command::Login(arguments) => login::run(&arguments, output),
        Command::Request(arguments) => sign_request::run(&arguments, output),
        Command::Audit(command) => audit::run(&command, &configuration()?, output),
    }
}
