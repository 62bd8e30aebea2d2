//! `avs-kms audit verify|tail`: reads the files of the log, on this machine or a copy on another.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failed, Output};
use crate::audit::{self, Report};
use crate::config::Configuration;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check every record and the chain; name the first bad one.
    Verify(Place),
    /// Print the last records as JSON lines.
    Tail {
        #[command(flatten)]
        place: Place,
        /// How many.
        #[arg(short = 'n', long, default_value_t = 10, value_name = "COUNT")]
        lines: u64,
        /// Go on with what is written from now on.
        #[arg(short, long)]
        follow: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Place {
    /// The directory of the log, or a copy of it [default: audit.directory].
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
}

/// How often a followed log is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(super) fn run(command: &Command, configuration: &Configuration, output: Output) -> Result<(), Failed> {
    let (Command::Verify(place) | Command::Tail { place, .. }) = command;
    let directory = place.log.as_deref().unwrap_or(&configuration.audit.directory);
    let unreadable = |error: audit::ReadError| {
        Failed::while_trying(format!("cannot read the audit log {}", directory.display()), &error)
    };
    match command {
        Command::Verify(_) => verdict(&audit::verify(directory).map_err(unreadable)?, output),
        Command::Tail { lines, follow, .. } => {
            let mut out = std::io::stdout().lock();
            for line in audit::tail(directory, *lines, follow.then_some(LOOK_AGAIN)).map_err(unreadable)? {
                let line = line.map_err(unreadable)?;
                match writeln!(out, "{}", line.json).and_then(|()| out.flush()) {
                    Ok(()) => {}
                    // `audit tail | head` has seen enough.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                    Err(error) => return Err(Failed::while_trying("cannot print", &error)),
                }
            }
            Ok(())
        }
    }
}

fn verdict(report: &Report, output: Output) -> Result<(), Failed> {
    if let Some(fault) = &report.fault {
        return Err(Failed::new(format!("the audit log is damaged: {fault}")));
    }
    let head = report.head.ok_or_else(|| Failed::new("there is no segment of an audit log"))?;
    let hash = hex::encode(head.record_hash);
    let absent: Vec<_> =
        report.absent.iter().map(|range| format!("{}..{}", range.start, range.end)).collect();
    let facts = json!({
        "log": head.log.to_string(),
        "size": head.size,
        "records": report.records,
        "segments": report.segments,
        "record_hash": hash,
        "root": hex::encode(head.root),
        "open_intents": report.open_intents,
        "unfinished_tail": report.unfinished.is_some(),
        "absent": absent,
    });
    output.print(&facts, || {
        let gaps =
            if absent.is_empty() { String::new() } else { format!("; not here: {}", absent.join(", ")) };
        format!(
            "sound: {} records in {} segment(s) of log {}, last record hash {hash}{gaps}",
            report.records, report.segments, head.log
        )
    });
    Ok(())
}
