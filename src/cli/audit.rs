//! `avs-kms audit …`: reads the files of the log or of a copy, without token and without the service.

mod history;
mod receipt;
mod verify;

use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::admin::local_socket::note_files;
use super::error::CliError;
use super::output::Output;
use crate::config::Configuration;
use crate::key::{Eoa, KeyName};
use crate::service::Maintenance;
use audit_log::{Compressed, Filter, Line, ReadError, VerifyOptions};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Verify every record, the hash chain and all checkpoints beside it; name the first bad record
    ///
    /// Without --log, the copy of audit.checkpoint_file is compared, too.
    #[command(after_help = verify::HELP)]
    Verify {
        #[command(flatten)]
        location: LogLocation,
        /// Checkpoint that was kept elsewhere, which the log must extend; repeat it for several
        #[arg(long, value_name = "FILE", requires = "public_key")]
        checkpoint: Vec<PathBuf>,
        /// File with the public key of the log, one line; repeat it if the log has had several
        ///
        /// The checkpoints must be signed by it; without it signatures are not checked. Fails where there is no
        /// checkpoint to check.
        #[arg(long, value_name = "FILE")]
        public_key: Vec<PathBuf>,
        /// Accept missing checkpoints and segments; the verdict names them all the same
        #[arg(long)]
        allow_missing: bool,
    },
    /// Print the last records, one JSON object per line
    #[command(after_help = "Example:\n  avs-kms audit tail -n 20 --follow")]
    Tail {
        #[command(flatten)]
        location: LogLocation,
        /// Number of records
        #[arg(short = 'n', long, default_value_t = 10, value_name = "COUNT")]
        lines: u64,
        /// Keep printing records as they are written
        #[arg(short, long)]
        follow: bool,
    },
    /// Print the records of a key, an EOA or a time, one JSON object per line
    ///
    /// The outcome of a printed intent is printed, too.
    #[command(after_help = "Example:\n  avs-kms audit export --eoa 0x… --since 2026-11-01T00:00:00Z")]
    Export {
        #[command(flatten)]
        location: LogLocation,
        /// Owner of the key, or caller
        #[arg(long)]
        eoa: Option<Eoa>,
        /// Name of the key
        #[arg(long)]
        name: Option<KeyName>,
        /// Not before this time (RFC 3339), such as 2026-11-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Before this time (RFC 3339)
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
    /// Print the history of one key: each change, its time, actor, reason and outcome
    #[command(after_help = "Example:\n  avs-kms audit history --eoa 0x… --name default")]
    History {
        #[command(flatten)]
        location: LogLocation,
        /// Owner of the key
        #[arg(long)]
        eoa: Eoa,
        /// Name of the key
        #[arg(long, default_value = "default")]
        name: KeyName,
    },
    /// Compress completed segments, also while the service runs; every command reads them as before
    #[command(after_help = "Example:\n  avs-kms audit compress --keep 2")]
    Compress {
        #[command(flatten)]
        location: LogLocation,
        /// Number of the newest completed segments to leave uncompressed
        #[arg(long, default_value_t = 1, value_name = "COUNT")]
        keep: usize,
    },
    /// Print the JSON Schema of the records
    Schema,
    /// Verify offline that the record of a signature is in the log
    #[command(after_help = receipt::HELP)]
    VerifyReceipt(receipt::Arguments),
}

#[derive(Debug, Args)]
pub(super) struct LogLocation {
    /// Directory of the log, or of a copy [default: audit.directory of the configuration]
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
}

impl LogLocation {
    fn directory<'a>(&'a self, configuration: &'a Configuration) -> &'a Path {
        self.log.as_deref().unwrap_or(&configuration.audit.directory)
    }
}

/// How often a followed log is read.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

pub(super) fn run(command: &Command, configuration: &Configuration, output: Output) -> Result<(), CliError> {
    match command {
        Command::Verify { location, checkpoint, public_key, allow_missing } => {
            // A copy elsewhere is older than the service's copies of the newest checkpoint.
            let copies = configuration.audit.checkpoint_file.iter().filter(|_| location.log.is_none());
            let options = VerifyOptions {
                directory: location.directory(configuration).to_owned(),
                copies: copies.cloned().collect(),
                checkpoints: checkpoint.clone(),
                public_keys: public_key.clone(),
                allow_missing: *allow_missing,
            };
            verify::run(&options, output)
        }
        Command::Tail { location, lines, follow } => {
            let directory = location.directory(configuration);
            let lines = audit_log::tail(directory, *lines, follow.then_some(FOLLOW_INTERVAL));
            print(directory, lines.map_err(|error| unreadable(directory, &error))?, *follow)
        }
        Command::Export { location, eoa, name, since, until } => {
            let directory = location.directory(configuration);
            let seconds = |time: &Option<Timestamp>| time.map(|time| time.as_second().max(0).unsigned_abs());
            let filter = Filter {
                eoa: eoa.map(|eoa| eoa.to_string()),
                key: name.as_ref().map(ToString::to_string),
                since: seconds(since),
                until: seconds(until),
            };
            let lines =
                audit_log::export(directory, filter).map_err(|error| unreadable(directory, &error))?;
            print(directory, lines, false)
        }
        Command::History { location, eoa, name } => {
            history::run(location.directory(configuration), *eoa, name.clone(), output)
        }
        Command::Compress { location, keep } => {
            let directory = location.directory(configuration);
            let done = audit_log::compress(directory, *keep).map_err(|error| {
                CliError::context(format!("cannot compress the audit log {}", directory.display()), &error)
            })?;
            let Compressed { segments, before, after, held } = done;
            // A copy elsewhere is not the log of this service.
            if segments > 0 && location.log.is_none() {
                note_files(configuration, Maintenance::Compress, directory, segments);
            }
            let fields = json!({"segments": segments, "before": before, "after": after, "held": held});
            output.print(&fields, || {
                let held = match held {
                    0 => String::new(),
                    held => format!("; {held} not compressed: an intent in it has no outcome yet"),
                };
                format!("compressed {segments} segment(s), {before} bytes to {after}{held}")
            });
            Ok(())
        }
        Command::Schema => {
            let schema = serde_json::from_str(audit_log::RECORD_SCHEMA)
                .map_err(|error| CliError::context("cannot print the schema", &error))?;
            output.print(&schema, || audit_log::RECORD_SCHEMA.trim_end().to_owned());
            Ok(())
        }
        Command::VerifyReceipt(arguments) => receipt::run(arguments, output),
    }
}

fn unreadable(directory: &Path, error: &ReadError) -> CliError {
    CliError::context(format!("cannot read the audit log {}", directory.display()), error)
}

fn print(
    directory: &Path,
    lines: impl Iterator<Item = Result<Line, ReadError>>,
    at_once: bool,
) -> Result<(), CliError> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in lines {
        let line = line.map_err(|error| unreadable(directory, &error))?;
        let written = writeln!(out, "{}", line.json);
        match written.and_then(|()| if at_once { out.flush() } else { Ok(()) }) {
            Ok(()) => {}
            // `audit tail | head` reads no more.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(CliError::context("cannot print", &error)),
        }
    }
    match out.flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::context("cannot print", &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
