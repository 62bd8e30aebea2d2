//! `avs-kms-audit-verify`: the verifier of the audit log for auditors, without the service.
//!
//! It builds from this crate alone: no web framework, no PKCS#11, no database. Arguments are read
//! by hand, because a parser of command lines would be most of what an auditor has to build and to
//! read.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use audit_log::{Soundness, VerifyOptions};

const HELP: &str = "\
Verify an avs-kms audit log: every record, the hash chain, the Merkle roots, and the checkpoints beside it and its
segments

Usage: avs-kms-audit-verify [OPTIONS] --log <DIR>

Options:
      --log <DIR>          Directory of the log, or of a copy of it
      --public-key <FILE>  Public key of the log, one line. The checkpoints must be signed by it; without it signatures
                           are not checked. Fails if there is no checkpoint. Repeat where the log has had several keys
      --checkpoint <FILE>  Checkpoint that was kept elsewhere. The log must contain its records unchanged. Needs
                           --public-key. Repeat for more
      --allow-missing      Accept missing checkpoints and segments; the verdict names them all the same
      --json               Print the verdict as one JSON object
  -h, --help               Print help
  -V, --version            Print version

Exit status: 0 sound; 1 damaged, forged or unreadable; 2 wrong usage; 3 sound as far as it is here, but segments or
checkpoints are missing, or a checkpoint cannot be compared

Example: avs-kms-audit-verify --log /mnt/copy/audit --public-key log.pub --checkpoint 2026-11.checkpoint
";

enum Request {
    Help,
    Version,
    Verify { examination: VerifyOptions, json: bool },
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let (mut log, mut json, mut examination) = (None, false, VerifyOptions::default());
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        let mut value = || {
            let value = inline.clone().or_else(|| arguments.next());
            value.filter(|value| !value.is_empty()).map(PathBuf::from).ok_or(format!("{name} needs a value"))
        };
        match name {
            "-h" | "--help" => return Ok(Request::Help),
            "-V" | "--version" => return Ok(Request::Version),
            "--json" if inline.is_none() => json = true,
            "--allow-missing" if inline.is_none() => examination.allow_missing = true,
            "--log" if log.is_none() => log = Some(value()?),
            "--log" => return Err("--log is given twice".to_owned()),
            "--checkpoint" => examination.checkpoints.push(value()?),
            "--public-key" => examination.public_keys.push(value()?),
            _ => return Err(format!("unexpected argument `{argument}`")),
        }
    }
    if !examination.checkpoints.is_empty() && examination.public_keys.is_empty() {
        return Err("--checkpoint needs --public-key".to_owned());
    }
    examination.directory = log.ok_or("--log <DIR> is missing")?;
    Ok(Request::Verify { examination, json })
}

/// Nothing can be done about a terminal or pipe that was closed.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "avs-kms-audit-verify: {text}");
}

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.into_string());
    let request = arguments
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "arguments must be UTF-8".to_owned())
        .and_then(|arguments| parse(arguments.into_iter()));
    match request {
        Ok(Request::Help) => print(HELP),
        Ok(Request::Version) => print(concat!("avs-kms-audit-verify ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Request::Verify { examination, json }) => return verify(&examination, json),
        Err(error) => {
            complain(&format!("{error}\nTry --help"));
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn verify(examination: &VerifyOptions, json: bool) -> ExitCode {
    let on_terminal = std::io::stderr().is_terminal();
    let verdict = examination.run(|progress| {
        if on_terminal {
            let _ = write!(std::io::stderr(), "{}", progress.bar());
        }
    });
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(error) => {
            complain(&error.message());
            return ExitCode::from(1);
        }
    };
    match verdict.soundness {
        Soundness::Unsound => complain(&verdict.text),
        Soundness::Sound | Soundness::Incomplete if json => print(&format!("{}\n", verdict.json)),
        Soundness::Sound | Soundness::Incomplete => print(&format!("{}\n", verdict.text)),
    }
    match verdict.soundness {
        Soundness::Sound => ExitCode::SUCCESS,
        Soundness::Unsound => ExitCode::from(1),
        Soundness::Incomplete => ExitCode::from(3),
    }
}
