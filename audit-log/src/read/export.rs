//! The records that concern one account, one key or one time, with the outcomes that belong to
//! them.
//!
//! Not for: paging for a client (`recent`), proving (`proof`).

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::format::corruption::ReadError;
use crate::format::time::time_text;
use crate::read::lines::{Line, lines};

/// What to export; a field that is `None` lets everything through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The owner of the key, or the one who acted.
    pub eoa: Option<String>,
    /// The name of the key.
    pub key: Option<String>,
    /// Not before this time, unix seconds.
    pub since: Option<u64>,
    /// Before this time, unix seconds.
    pub until: Option<u64>,
}

/// The lines that the filter lets through, in order. An outcome comes with its intent, whatever its
/// own fields are.
///
/// # Errors
/// When the directory cannot be read.
pub fn export(
    directory: &Path,
    filter: Filter,
) -> Result<impl Iterator<Item = Result<Line, ReadError>>, ReadError> {
    let [since, until] = [filter.since, filter.until].map(|time| time.map(time_text));
    let mut open = BTreeSet::new();
    let wanted = move |line: &Line| {
        // Most lines of a large log concern other accounts: no JSON is parsed for them.
        let named = filter.eoa.as_deref().is_none_or(|eoa| line.json.contains(eoa));
        if !named && !line.json.contains(",\"intent\":") {
            return false;
        }
        let Ok(record) = serde_json::from_str::<Value>(&line.json) else { return false };
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
        if let Some(intent) = record.get("intent").and_then(Value::as_u64) {
            return open.remove(&intent);
        }
        let time = text("/time").unwrap_or_default();
        let owner = ["/key/eoa", "/actor/eoa"].map(text);
        let fits = filter.eoa.as_deref().is_none_or(|eoa| owner.contains(&Some(eoa)))
            && filter.key.as_deref().is_none_or(|key| text("/key/name") == Some(key))
            // RFC 3339 in UTC with fixed width: the order of the texts is the order of the times.
            && since.as_deref().is_none_or(|since| time >= since)
            && until.as_deref().is_none_or(|until| time < until);
        if fits && text("/kind") == Some("intent") {
            open.insert(line.seq);
        }
        fits
    };
    let mut wanted = wanted;
    Ok(lines(directory, 0, None)?.filter(move |line| line.as_ref().map_or(true, &mut wanted)))
}
