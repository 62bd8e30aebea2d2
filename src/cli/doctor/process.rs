//! Examination in a process of its own, and how that ended: a report, a refusal, a crash or a hang.
//!
//! The module's code then neither holds up nor ends `doctor`, and the process can close itself in.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::serve::open::environment::this_program;

/// Where the examination runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Place {
    /// In the sandbox of `serve`.
    Inside,
    /// Without it.
    Outside,
}

/// How long the output of a process that has ended may take to arrive.
const PIPE_PATIENCE: Duration = Duration::from_secs(5);

/// What came of it: the report, or why the token could not be examined.
pub(super) type Outcome = Result<Value, String>;

/// Runs this program again with the same arguments and the place. It is killed after `limit`. A refused PIN is an error
/// of the command: it must not be presented again.
pub(super) fn examine(place: Place, limit: Duration) -> Result<Outcome, CliError> {
    let mut command = Command::new(this_program()?);
    command.args(std::env::args_os().skip(1)).arg("--examine").arg(match place {
        Place::Inside => "inside",
        Place::Outside => "outside",
    });
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| CliError::context("cannot start the examination", &error))?;
    let lines = lines_of(&mut child);
    let status = wait(&mut child, limit).map_err(|error| CliError::context("cannot wait", &error))?;
    // The module may have printed lines of its own, and a daemon that it started may keep the pipe open.
    let lines = std::iter::from_fn(|| lines.recv_timeout(PIPE_PATIENCE).ok());
    let objects = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok()).filter(Value::is_object);
    let answer = objects.last();
    match (answer, status) {
        (Some(answer), _) => outcome(answer),
        (None, None) => Ok(Err(format!(
            "the module has not returned from a call for {limit:?}: check the HSM, its network and the vendor's daemon"
        ))),
        (None, Some(status)) => Ok(Err(died(status))),
    }
}

fn outcome(answer: Value) -> Result<Outcome, CliError> {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text("error"), answer.get("pin_refused").and_then(Value::as_bool)) {
        (Some(error), Some(true)) => Err(CliError::pin_refused(error)),
        (Some(error), _) => Ok(Err(error)),
        (None, _) => Ok(Ok(answer)),
    }
}

fn died(status: ExitStatus) -> String {
    let how = match status.signal() {
        Some(31) => "the system call filter ended it (SIGSYS)".to_owned(),
        Some(signal) => format!("signal {signal} ended it"),
        None => format!("it ended by itself with {status}"),
    };
    format!(
        "the process that called the module died: {how}; try another version of the module, and ask its vendor"
    )
}

/// Its standard output, line by line, until it is closed.
fn lines_of(child: &mut Child) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(send.send(line)));
        });
    }
    receive
}

/// None where it had to be killed.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
