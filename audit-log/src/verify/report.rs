//! The verdict on a log, as text and as JSON: the same words from `avs-kms audit verify` and
//! `avs-kms-audit-verify`.

use serde_json::{Value, json};

use super::kept::{KeptCheckpoint, Place, describe};
use super::verifier::Report;

/// How far a log can be trusted after verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Soundness {
    /// Nothing is wrong and nothing is missing.
    Sound,
    /// What is here is sound, and something that should be compared is not here.
    Incomplete,
    /// Something is wrong.
    Unsound,
}

/// The result of a verification.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Decides the exit status: 0, 3 or 1.
    pub soundness: Soundness,
    /// One line for people.
    pub text: String,
    /// The same for programs.
    pub json: Value,
}

/// What the log was compared with.
pub(super) struct Comparison {
    /// All checkpoints that were found.
    pub(super) kept: Vec<KeptCheckpoint>,
    /// What should be there to compare with and is not.
    pub(super) missing: Vec<String>,
    /// Whether signatures were checked.
    pub(super) has_key: bool,
    /// Whether what is missing is no finding.
    pub(super) allow_missing: bool,
}

impl Verdict {
    /// The verdict on a report.
    pub(super) fn new(report: &Report, comparison: Comparison) -> Self {
        let Comparison { kept, missing, has_key, allow_missing } = comparison;
        let refused = |soundness, text: String| Self { soundness, json: json!({"error": text}), text };
        if let Some(fault) = &report.corruption {
            return refused(Soundness::Unsound, format!("the audit log is damaged: {fault}"));
        }
        let Some(head) = report.head else {
            return refused(Soundness::Unsound, "there is no segment of an audit log".to_owned());
        };
        let is_here = |one: &KeptCheckpoint| {
            let size = one.head.size;
            !report.absent.iter().any(|range| (range.start == 0 || range.start < size) && size < range.end)
        };
        // The caller wants a checkpoint compared: one that cannot be is no good news.
        if let Some(one) = kept.iter().find(|one| matches!(one.place, Place::Given(_)) && !is_here(one)) {
            let size = one.head.size;
            let text = format!(
                "the checkpoint of {size} records cannot be compared: the segment of its last record is not here"
            );
            return refused(Soundness::Incomplete, text);
        }
        let compared: Vec<_> = kept.into_iter().filter(is_here).collect();
        let covered = compared.iter().map(|one| one.head.size).max().unwrap_or(0);
        // Every log extends a checkpoint of no records: it shows nothing.
        let is_vacuous = compared.is_empty() || (covered == 0 && head.size > 0);
        if is_vacuous && has_key {
            let text = format!(
                "nothing vouches for the {} records: there is no checkpoint of them to check with the public key",
                head.size
            );
            return refused(Soundness::Incomplete, text);
        }
        let hash = hex::encode(head.record_hash);
        let absent: Vec<_> =
            report.absent.iter().map(|range| format!("{}..{}", range.start, range.end)).collect();
        let json = json!({
            "log": head.log.to_string(),
            "size": head.size,
            "records": report.records,
            "segments": report.segments,
            "record_hash": hash,
            "root": hex::encode(head.root),
            "open_intents": report.open_intents,
            "unfinished_tail": report.torn_tail.is_some(),
            "checkpoints": compared.len(),
            "compared": compared.iter().map(|one| one.json(has_key)).collect::<Vec<_>>(),
            "covered": covered,
            "missing": missing,
            "absent": absent,
        });
        let mut text = format!(
            "sound: {} records in {} segment(s) of log {}, last record hash {hash}",
            report.records, report.segments, head.log
        );
        if is_vacuous {
            text.push_str("; compared with no checkpoint of any record: it may have been rewritten or cut");
        } else {
            let signatures = match has_key {
                true => "signatures checked",
                false => "signatures NOT checked: no public key was given",
            };
            let (count, after) = (compared.len(), head.size.saturating_sub(covered));
            text.push_str(&format!(
                "; it contains the heads of {count} checkpoint(s), {signatures}: {}; {after} record(s) are newer",
                describe(&compared)
            ));
        }
        if !absent.is_empty() {
            text.push_str(&format!("; not here: {}", absent.join(", ")));
        }
        if !missing.is_empty() {
            text.push_str(&format!("; missing: {}", missing.join(", ")));
        }
        if let Some(cut) = &report.torn_tail {
            let (bytes, offset, segment) = (cut.bytes, cut.offset, &cut.segment);
            text.push_str(&format!("; the last write is unfinished: {bytes} bytes at {offset} of {segment}"));
        }
        let is_complete = absent.is_empty() && missing.is_empty();
        let soundness = if is_complete || allow_missing { Soundness::Sound } else { Soundness::Incomplete };
        Self { soundness, text, json }
    }
}
