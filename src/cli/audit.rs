//! `avs-kms audit …`: reads the files of the log, on this machine or a copy on another, without token or service.

mod history;
mod verify;

use std::fs;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_log::{Compressed, Filter, InclusionProof, Line, ReadError, Receipt, VerifierKey};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::admin::local_socket::note_files;
use super::error::Failed;
use super::output::Output;
use crate::config::Configuration;
use crate::key::{Eoa, KeyName};
use crate::service::FileWork;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check every record and the chain; name the first bad one.
    Verify {
        #[command(flatten)]
        place: Place,
        /// A checkpoint that was kept elsewhere: the log must still have that past; repeat for more.
        #[arg(long, value_name = "FILE", requires = "public_key")]
        checkpoint: Vec<PathBuf>,
        /// A file with the public key of the log, one line: the checkpoints beside the log must be signed by it and fit;
        /// repeat where the log has had more than one.
        #[arg(long, value_name = "FILE")]
        public_key: Vec<PathBuf>,
    },
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
    /// Print the records of a key, an EOA or a time as JSON lines; outcomes come with their intents.
    Export {
        #[command(flatten)]
        place: Place,
        /// The owner of the key, or who acted.
        #[arg(long)]
        eoa: Option<Eoa>,
        /// The name of the key.
        #[arg(long)]
        name: Option<KeyName>,
        /// Not before this time, RFC 3339.
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Before this time, RFC 3339.
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
    /// Print the trail of one key: what was done to it, when, by whom, why, and how it ended.
    History {
        #[command(flatten)]
        place: Place,
        /// The owner of the key.
        #[arg(long)]
        eoa: Eoa,
        /// The name of the key.
        #[arg(long, default_value = "default")]
        name: KeyName,
    },
    /// Compress completed segments, beside the running service too; every command reads them as before.
    Compress {
        #[command(flatten)]
        place: Place,
        /// Leave so many of the newest completed segments as they are.
        #[arg(long, default_value_t = 1, value_name = "COUNT")]
        keep: usize,
    },
    /// Print the JSON Schema of the records.
    Schema,
    /// Check offline that the record of a signing answer is in the log.
    VerifyReceipt {
        /// A file with the answer of the signing call.
        #[arg(long, value_name = "FILE")]
        answer: PathBuf,
        /// A file with the answer of GET /v1/audit/proof?seq=…, or with its `proof` alone.
        #[arg(long, value_name = "FILE")]
        proof: PathBuf,
        /// A file with the public key of the log, one line.
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Place {
    /// The directory of the log, or a copy of it [default: audit.directory].
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
}

impl Place {
    fn directory<'a>(&'a self, configuration: &'a Configuration) -> &'a Path {
        self.log.as_deref().unwrap_or(&configuration.audit.directory)
    }
}

/// How often a followed log is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(super) fn run(command: &Command, configuration: &Configuration, output: Output) -> Result<(), Failed> {
    match command {
        Command::Verify { place, checkpoint, public_key } => {
            verify::run(place.directory(configuration), checkpoint, public_key, output)
        }
        Command::Tail { place, lines, follow } => {
            let directory = place.directory(configuration);
            let lines = audit_log::tail(directory, *lines, follow.then_some(LOOK_AGAIN));
            print(directory, lines.map_err(|error| unreadable(directory, &error))?, *follow)
        }
        Command::Export { place, eoa, name, since, until } => {
            let directory = place.directory(configuration);
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
        Command::History { place, eoa, name } => {
            history::run(place.directory(configuration), *eoa, name.clone(), output)
        }
        Command::Compress { place, keep } => {
            let directory = place.directory(configuration);
            let done = audit_log::compress(directory, *keep).map_err(|error| {
                Failed::while_trying(format!("cannot compress the audit log {}", directory.display()), &error)
            })?;
            let Compressed { segments, before, after, held } = done;
            // A copy elsewhere is nobody's log.
            if segments > 0 && place.log.is_none() {
                note_files(configuration, FileWork::Compress, directory, segments);
            }
            let facts = json!({"segments": segments, "before": before, "after": after, "held": held});
            output.print(&facts, || {
                let held = match held {
                    0 => String::new(),
                    held => format!("; {held} held back: an intent there has no outcome yet"),
                };
                format!("compressed {segments} segment(s), {before} bytes to {after}{held}")
            });
            Ok(())
        }
        Command::Schema => {
            let schema = serde_json::from_str(audit_log::RECORD_SCHEMA)
                .map_err(|error| Failed::while_trying("cannot print the schema", &error))?;
            output.print(&schema, || audit_log::RECORD_SCHEMA.trim_end().to_owned());
            Ok(())
        }
        Command::VerifyReceipt { answer, proof, public_key } => {
            let key = public_key_in(public_key)?;
            let receipt = receipt_in(answer)?;
            let text = read(proof)?;
            // The whole answer of the service, or the text of the proof alone.
            let text = serde_json::from_str::<Value>(&text)
                .ok()
                .and_then(|value| value.get("proof").and_then(Value::as_str).map(str::to_owned))
                .unwrap_or(text);
            let checkpoint = InclusionProof::verify_receipt(&text, &key, &receipt)
                .map_err(|error| Failed::while_trying("the receipt does not hold", &error))?;
            let (seq, size) = (receipt.seq, checkpoint.size());
            output.print(&json!({"seq": seq, "size": size, "origin": checkpoint.origin()}), || {
                format!("proven: record {seq} is in the log {} of {size} records", checkpoint.origin())
            });
            Ok(())
        }
    }
}

fn unreadable(directory: &Path, error: &ReadError) -> Failed {
    Failed::while_trying(format!("cannot read the audit log {}", directory.display()), error)
}

fn read(file: &Path) -> Result<String, Failed> {
    fs::read_to_string(file)
        .map_err(|error| Failed::while_trying(format!("cannot read {}", file.display()), &error))
}

fn public_key_in(file: &Path) -> Result<VerifierKey, Failed> {
    audit_log::public_key_in(file).map_err(|error| Failed::new(error.message()))
}

fn receipt_in(file: &Path) -> Result<Receipt, Failed> {
    let unusable =
        || Failed::new(format!("{} has no audit receipt {{seq, log, record_hash}}", file.display()));
    let answer: Value = serde_json::from_str(&read(file)?).map_err(|_| unusable())?;
    let receipt = answer.get("audit").ok_or_else(unusable)?;
    let text = |name: &str| receipt.get(name).and_then(Value::as_str).ok_or_else(unusable);
    let mut record_hash = [0; 32];
    let digits = text("record_hash")?;
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    hex::decode_to_slice(digits, &mut record_hash).map_err(|_| unusable())?;
    let log = text("log")?.parse().map_err(|_| unusable())?;
    Ok(Receipt { seq: receipt.get("seq").and_then(Value::as_u64).ok_or_else(unusable)?, log, record_hash })
}

fn print(
    directory: &Path,
    lines: impl Iterator<Item = Result<Line, ReadError>>,
    at_once: bool,
) -> Result<(), Failed> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in lines {
        let line = line.map_err(|error| unreadable(directory, &error))?;
        let written = writeln!(out, "{}", line.json);
        match written.and_then(|()| if at_once { out.flush() } else { Ok(()) }) {
            Ok(()) => {}
            // `audit tail | head` has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(Failed::while_trying("cannot print", &error)),
        }
    }
    match out.flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failed::while_trying("cannot print", &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
