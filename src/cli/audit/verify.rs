//! `avs-kms audit verify`: calls the verifier of the log. Not for: the verification and the text of the
//! verdict (`audit_log`).

use std::io::IsTerminal;

use audit_log::{Progress, Soundness, VerifyOptions};

use crate::cli::error::CliError;
use crate::cli::output::Output;

pub(super) const HELP: &str = "\
Exit status:
  0  every record is sound, and the log contains the heads of its checkpoints
  1  the log is damaged, or it does not extend a checkpoint
  2  wrong usage
  3  what is there is sound, but segments or checkpoints are missing, or a checkpoint cannot be compared

Example:
  avs-kms audit verify --log /mnt/copy/audit --public-key log.pub --checkpoint kept.txt";

/// Compares the log with every checkpoint there is.
pub(super) fn run(options: &VerifyOptions, output: Output) -> Result<(), CliError> {
    let verdict = options.run(progress).map_err(|error| CliError::new(error.message()))?;
    match verdict.soundness {
        Soundness::Unsound => return Err(CliError::new(verdict.text)),
        Soundness::Sound | Soundness::Incomplete => output.print(&verdict.json, || verdict.text.clone()),
    }
    match verdict.soundness {
        Soundness::Incomplete => Err(CliError::doubtful("the log is not complete here")),
        Soundness::Sound | Soundness::Unsound => Ok(()),
    }
}

/// A progress bar on a terminal; nothing for programs.
#[expect(clippy::print_stderr, reason = "a progress bar is for the terminal only")]
fn progress(progress: Progress) {
    if std::io::stderr().is_terminal() {
        eprint!("{}", progress.bar());
    }
}
