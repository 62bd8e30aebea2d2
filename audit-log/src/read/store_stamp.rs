//! The newest stamp of the store in the log: what a start compares the store with.
//!
//! A stamp is authentic by its MAC, which names the intent of its outcome. Counters only grow, so the highest one is the
//! newest; an old stamp that was appended again names an intent that is too old to end the search. Not for: what
//! follows from it (the service decides).

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::format::corruption::ReadError;
use crate::format::record::StoreStamp;
use crate::read::chain::Chain;
use crate::read::cursor::step_with_retry;
use crate::read::frame_reader::{FrameEvent, FrameReader};
use crate::read::source::{Segment, Source};

/// What the log says of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundStamp {
    /// The newest stamp.
    Newest(StoreStamp),
    /// There is none in a log that is there from its first record on.
    Never,
    /// There is none in the segments that are still there; older ones were moved away.
    OutOfReach,
}

pub(crate) fn newest(
    directory: &Path,
    is_authentic: impl Fn(u64, &StoreStamp) -> bool,
) -> Result<FoundStamp, ReadError> {
    let source = Source::open(directory)?;
    let firsts = source.firsts()?;
    let (mut best, mut newest_intent) = (None::<StoreStamp>, None::<u64>);
    for (index, &first) in firsts.iter().enumerate().rev() {
        let Segment { name, file, header } = source.segment(first)?;
        let mut chain = Chain::at(&header);
        let mut reader = FrameReader::new(&file, &name, header.bytes);
        while let FrameEvent::Frame { .. } = step_with_retry(&file, &mut reader, &mut chain, |record| {
            let Some((intent, stamp)) = stamp_of(record.view.body) else { return };
            if is_authentic(intent, &stamp) {
                newest_intent = newest_intent.max(Some(intent));
                if best.as_ref().is_none_or(|known| known.counter < stamp.counter) {
                    best = Some(stamp);
                }
            }
        })? {}
        // Its intent may be one segment older than its outcome; one that is older still was appended again.
        let reached = index.checked_sub(1).and_then(|before| firsts.get(before)).copied().unwrap_or(0);
        if newest_intent.is_some_and(|intent| intent >= reached) {
            break;
        }
    }
    Ok(match best {
        Some(stamp) => FoundStamp::Newest(stamp),
        None if firsts.first().is_none_or(|first| *first == 0) => FoundStamp::Never,
        None => FoundStamp::OutOfReach,
    })
}

/// Intent and stamp of the body of an outcome.
fn stamp_of(body: &[u8]) -> Option<(u64, StoreStamp)> {
    // The stamp is the last member. Most records have none and need not be parsed.
    if !body.ends_with(b"\"}}")
        || !matches!(body.get(..16), Some(b"\"kind\":\"outcome\"" | b"\"kind\":\"recovere"))
    {
        return None;
    }
    let record: Value = serde_json::from_slice(&[b"{", body].concat()).ok()?;
    let hash = |member: &str| -> Option<[u8; 32]> {
        let text = record.pointer(&format!("/store/{member}"))?.as_str()?;
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
    };
    let stamp = StoreStamp {
        counter: record.pointer("/store/counter")?.as_u64()?,
        chain: hash("chain_after")?,
        root: hash("root_after")?,
        mac: hash("mac")?,
    };
    Some((record.get("intent")?.as_u64()?, stamp))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;
    use crate::format::encode::{intent_body, outcome_body};
    use crate::format::record::{Actor, Input, Intent, Outcome, Value};

    #[test]
    fn the_stamp_of_an_outcome_is_read_back_and_no_text_is_taken_for_one() {
        let stamp = StoreStamp { counter: 7, chain: [1; 32], root: [2; 32], mac: [3; 32] };
        let detail = Some("\"store\":{\"counter\":9}}".to_owned());
        let outcome = Outcome { detail, ..Outcome::ok(5) };
        for kind in ["outcome", "recovered"] {
            assert_eq!(stamp_of(&outcome_body(kind, 41, &outcome, Some(&stamp))), Some((41, stamp.clone())));
            assert_eq!(stamp_of(&outcome_body(kind, 41, &outcome, None)), None);
        }
        let input = Some(Input::Fields(vec![("store", Value::Text("x".to_owned()))]));
        let (actor, request) = (Actor::local(), String::new());
        let intent = Intent { operation: "keys.create", actor, request, key: None, input };
        assert_eq!(stamp_of(&intent_body(&intent)), None);
    }
}
