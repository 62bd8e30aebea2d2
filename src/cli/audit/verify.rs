//! `avs-kms audit verify`: what is asked of the log's verifier, and how its report is told. Not for: checking (`audit`).

use std::io::IsTerminal;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{public_key_in, read, unreadable};
use crate::audit::{self, CheckpointError, Progress, Report, SignedCheckpoint, VerifierKey};
use crate::cli::error::Failed;
use crate::cli::output::Output;

/// Compares the log with the checkpoints that are brought and, when there is a key, with those beside it.
pub(super) fn run(
    directory: &Path,
    checkpoint: &[PathBuf],
    public_key: &[PathBuf],
    output: Output,
) -> Result<(), Failed> {
    let keys = public_key.iter().map(|file| public_key_in(file)).collect::<Result<Vec<_>, _>>()?;
    let signed = |files: &[PathBuf]| -> Result<Vec<_>, Failed> {
        files.iter().map(|file| checkpoint_in(file, &keys)).collect()
    };
    let kept = signed(checkpoint)?;
    let beside = match &keys[..] {
        [] => Vec::new(),
        _ => signed(&audit::checkpoint_files(directory).map_err(|error| unreadable(directory, &error))?)?,
    };
    let report = audit::verify_against(directory, &[&kept[..], &beside].concat(), progress)
        .map_err(|error| unreadable(directory, &error))?;
    verdict(&report, &kept, output)
}

/// A signed note, or the answer of `GET /v1/audit/checkpoint` with one in it.
fn checkpoint_in(file: &Path, keys: &[VerifierKey]) -> Result<SignedCheckpoint, Failed> {
    let text = read(file)?;
    let note = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|value| value.get("checkpoint").and_then(Value::as_str).map(str::to_owned))
        .unwrap_or(text);
    let mut opened = Err(CheckpointError::Form);
    for key in keys {
        opened = key.open(note.as_bytes());
        if opened.is_ok() {
            break;
        }
    }
    opened.map_err(|error| Failed::while_trying(format!("cannot use {}", file.display()), &error))
}

/// A bar for people who watch a large log being checked; nothing for programs.
#[expect(clippy::print_stderr, reason = "a bar is for the terminal alone")]
fn progress(progress: Progress) {
    let Progress { records, bytes, total_bytes } = progress;
    let percent = bytes.saturating_mul(100).checked_div(total_bytes).unwrap_or(100);
    if std::io::stderr().is_terminal() {
        eprint!(
            "\r{percent:>3} % [{:<40}] {records} records",
            "#".repeat((percent * 2 / 5).min(40) as usize)
        );
        if bytes >= total_bytes {
            eprintln!();
        }
    }
}

fn verdict(report: &Report, kept: &[SignedCheckpoint], output: Output) -> Result<(), Failed> {
    if let Some(fault) = &report.fault {
        return Err(Failed::new(format!("the audit log is damaged: {fault}")));
    }
    // Whoever brings a checkpoint wants it compared: what cannot be is no good news.
    let lies_in =
        |range: &Range<u64>, one: &SignedCheckpoint| range.start < one.size() && one.size() < range.end;
    if let Some(one) = kept.iter().find(|one| report.absent.iter().any(|range| lies_in(range, one))) {
        return Err(Failed::new(format!(
            "the checkpoint of {} records cannot be compared: the segment of its last record is not here",
            one.size()
        )));
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
        "checkpoints": report.checkpoints,
        "absent": absent,
    });
    output.print(&facts, || {
        let gaps =
            if absent.is_empty() { String::new() } else { format!("; not here: {}", absent.join(", ")) };
        let past = match report.checkpoints {
            0 => String::new(),
            count => format!("; it has the past of {count} checkpoint(s)"),
        };
        let cut = report.unfinished.as_ref().map_or_else(String::new, |cut| {
            format!(
                "; the last write is unfinished: {} bytes at {} of {}",
                cut.bytes, cut.offset, cut.segment
            )
        });
        format!(
            "sound: {} records in {} segment(s) of log {}, last record hash {hash}{past}{gaps}{cut}",
            report.records, report.segments, head.log
        )
    });
    Ok(())
}
