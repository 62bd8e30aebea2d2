//! Command line of [`hsm::make_softhsm_token`], for `softhsm-config/make-token`. Not part of the service.
#![allow(clippy::print_stdout, clippy::print_stderr)] // it talks to a terminal

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use hsm::{SofthsmLayout, SofthsmToken, TokenMade, make_softhsm_token};

const USAGE: &str = "usage: make-token --dir DIR --label LABEL --pin-file FILE [--module FILE]";

fn main() -> ExitCode {
    let Some(plan) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let configuration = plan.layout.configuration.clone();
    if std::env::var_os("SOFTHSM2_CONF").is_none_or(|set| set != configuration) {
        // SoftHSM reads the variable when it is loaded: start again with it set.
        let program = std::env::current_exe().unwrap_or_else(|_| "make-token".into());
        let error = Command::new(program)
            .args(std::env::args_os().skip(1))
            .env("SOFTHSM2_CONF", configuration)
            .exec();
        eprintln!("make-token: it could not be started again: {error}");
        return ExitCode::FAILURE;
    }
    match make_softhsm_token(&plan) {
        Ok(TokenMade { serial, created }) => {
            let what = if created { "made" } else { "there already, and the PIN works" };
            println!("token {:?} (serial {serial}) is {what}: {}", plan.label, plan.layout.tokens.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            eprintln!("make-token: {text}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<SofthsmToken> {
    let (mut directory, mut label, mut pin_file) = (None, None, None);
    let mut module = PathBuf::from(hsm::SOFTHSM_MODULE);
    while let Some(flag) = arguments.next() {
        let value = arguments.next()?;
        match flag.as_str() {
            "--dir" => directory = Some(std::path::absolute(value).ok()?),
            "--label" => label = Some(value),
            "--pin-file" => pin_file = Some(PathBuf::from(value)),
            "--module" => module = PathBuf::from(value),
            _ => return None,
        }
    }
    let directory = directory?;
    let lock_file = directory.join("lock");
    let layout = SofthsmLayout::own(&directory);
    Some(SofthsmToken { module, layout, label: label?, pin_file: pin_file?, lock_file })
}
