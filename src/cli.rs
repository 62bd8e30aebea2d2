//! The commands (`avs-kms --help`), their output for people and programs, and exit codes.
//!
//! 0: done. 1: it failed. 2: wrong usage or configuration. The only module that talks to the terminal.
//! Not for: doing anything itself; commands go the same way as requests, through the local router.

mod audit;
mod background;
mod backup;
mod confine;
mod doctor;
mod edge;
mod health;
mod history;
mod init;
mod keys;
mod keystore;
mod local;
mod lock;
mod log;
mod login;
mod open;
mod reload;
mod request;
mod serve;
mod terminal;
mod token;
mod wallet;

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    Token(token::Command),
    /// Log in at a service with an EOA, and print or store the bearer token.
    Login(login::Arguments),
    /// Sign one request with an EOA, and print the curl line that sends it.
    Request(request::Arguments),
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

/// A command that did not work: the sentence for the terminal, and the exit code.
#[derive(Debug)]
struct Failed {
    sentence: String,
    code: u8,
}

impl Failed {
    fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: 1 }
    }

    /// Says what to do, too.
    fn hinting(mut self, hint: &str) -> Self {
        self.sentence.push_str(hint);
        self
    }

    fn usage(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: 2 }
    }

    /// What was tried, and the error with all that caused it. Some libraries repeat a cause in the error above it: once
    /// is enough.
    fn while_trying(what: impl fmt::Display, error: &(dyn Error + 'static)) -> Self {
        let mut sentence = what.to_string();
        let mut next = Some(error);
        while let Some(error) = next {
            let said = error.to_string();
            if !sentence.contains(&said) {
                sentence.push_str(": ");
                sentence.push_str(&said);
            }
            next = error.source();
        }
        Self::new(sentence)
    }
}

/// What commands print with.
#[derive(Clone, Copy, Debug)]
struct Output {
    json: bool,
}

impl Output {
    /// One line for people, or the object for programs.
    #[expect(clippy::print_stdout, reason = "this is what standard output is for")]
    fn print(self, value: &serde_json::Value, people: impl FnOnce() -> String) {
        if self.json {
            println!("{value}");
        } else {
            println!("{}", people());
        }
    }
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

#[expect(clippy::print_stderr, reason = "the one place where a command says what went wrong")]
fn say(sentence: &str) {
    eprintln!("avs-kms: {sentence}");
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
        Command::Token(command) => token::run(&command, configuration()?, output),
        Command::Login(arguments) => login::run(&arguments, output),
        Command::Request(arguments) => request::run(&arguments, output),
        Command::Audit(command) => audit::run(&command, &configuration()?, output),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write: {0}")]
    struct Repeats(#[source] std::io::Error);

    #[test]
    fn a_cause_is_said_once_and_none_is_left_out() {
        let full = || std::io::Error::other("the disk is full");
        let said = |error: &(dyn Error + 'static)| Failed::while_trying("starting", error).sentence;
        assert_eq!(said(&full()), "starting: the disk is full");
        assert_eq!(said(&Repeats(full())), "starting: cannot write: the disk is full");
    }
}
