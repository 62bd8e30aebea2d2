//! The verdict on a log, as text and as JSON: the same words from `avs-kms audit verify` and
//! `avs-kms-audit-verify`.

use std::ops::Range;

use serde_json::{Value, json};

use super::verifier::Report;
use crate::checkpoint::signed::SignedCheckpoint;

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

impl Verdict {
    /// The verdict on a report; `kept` are the checkpoints that the caller brought and wants
    /// compared.
    pub(super) fn new(report: &Report, kept: &[SignedCheckpoint]) -> Self {
        let refused = |soundness, text: String| Self { soundness, json: json!({"error": text}), text };
        if let Some(fault) = &report.corruption {
            return refused(Soundness::Unsound, format!("the audit log is damaged: {fault}"));
        }
        // The caller wants a checkpoint compared: one that cannot be is no good news.
        let inside =
            |range: &Range<u64>, one: &SignedCheckpoint| range.start < one.size() && one.size() < range.end;
        if let Some(one) = kept.iter().find(|one| report.absent.iter().any(|range| inside(range, one))) {
            let size = one.size();
            let text = format!(
                "the checkpoint of {size} records cannot be compared: the segment of its last record is not here"
            );
            return refused(Soundness::Incomplete, text);
        }
        let Some(head) = report.head else {
            return refused(Soundness::Unsound, "there is no segment of an audit log".to_owned());
        };
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
            "checkpoints": report.checkpoints,
            "absent": absent,
        });
        let gaps =
            if absent.is_empty() { String::new() } else { format!("; not here: {}", absent.join(", ")) };
        let past = match report.checkpoints {
            0 => String::new(),
            count => format!("; it contains the heads of {count} checkpoint(s)"),
        };
        let cut = report.torn_tail.as_ref().map_or_else(String::new, |cut| {
            format!(
                "; the last write is unfinished: {} bytes at {} of {}",
                cut.bytes, cut.offset, cut.segment
            )
        });
        let text = format!(
            "sound: {} records in {} segment(s) of log {}, last record hash {hash}{past}{gaps}{cut}",
            report.records, report.segments, head.log
        );
        let soundness = if absent.is_empty() { Soundness::Sound } else { Soundness::Incomplete };
        Self { soundness, text, json }
    }
}
