//! `avs-kms audit verify`: how the log's verifier is called. Not for: checking, and the words of the verdict (`audit_log`).

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use audit_log::{Progress, Soundness, VerifyOptions};

use crate::cli::error::Failed;
use crate::cli::output::Output;

/// Compares the log with the checkpoints that are brought and, when there is a key, with those beside it.
pub(super) fn run(
    directory: &Path,
    checkpoint: &[PathBuf],
    public_key: &[PathBuf],
    output: Output,
) -> Result<(), Failed> {
    let options = VerifyOptions {
        directory: directory.to_owned(),
        checkpoints: checkpoint.to_vec(),
        public_keys: public_key.to_vec(),
    };
    let verdict = options.run(progress).map_err(|error| Failed::new(error.message()))?;
    match verdict.soundness {
        Soundness::Unsound => return Err(Failed::new(verdict.text)),
        Soundness::Sound | Soundness::Incomplete => {}
    }
    let incomplete = verdict.soundness == Soundness::Incomplete;
    output.print(&verdict.json, || verdict.text.clone());
    match incomplete {
        true => Err(Failed::incomplete("the log is not complete here")),
        false => Ok(()),
    }
}

/// A bar for people who watch a large log being checked; nothing for programs.
#[expect(clippy::print_stderr, reason = "a bar is for the terminal alone")]
fn progress(progress: Progress) {
    if std::io::stderr().is_terminal() {
        eprint!("{}", progress.bar());
    }
}
