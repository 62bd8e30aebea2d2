//! `avs-kms audit history`: the history of one key, from the audit log only.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::auth::Scope;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::key::{Eoa, KeyName};
use crate::service::operation::ALL;
use audit_log::Filter;

/// Whether an operation uses or reads keys without changing them: its records are counted, not listed.
fn is_use(name: &str) -> bool {
    ALL.iter().filter(|operation| operation.name == name).any(|operation| {
        matches!(
            operation.scope(),
            Some(Scope::KeysRead | Scope::SignPoint | Scope::SignDigest | Scope::SignTyped)
        )
    })
}

/// Prints the changes of a key: time, actor, reason and outcome.
pub(super) fn run(directory: &Path, eoa: Eoa, name: KeyName, output: Output) -> Result<(), CliError> {
    let unreadable = |error: &(dyn std::error::Error + 'static)| {
        CliError::context(format!("cannot read the audit log {}", directory.display()), error)
    };
    let filter = Filter { eoa: Some(eoa.to_string()), key: Some(name.to_string()), since: None, until: None };
    let lines = audit_log::export(directory, filter).map_err(|error| unreadable(&error))?;
    let mut entries: Vec<Value> = Vec::new();
    // Intents without an outcome, each with the index of its entry.
    let mut open: HashMap<u64, Option<usize>> = HashMap::new();
    let mut uses: std::collections::BTreeMap<String, u64> = Default::default();
    for line in lines {
        let line = line.map_err(|error| unreadable(&error))?;
        let record: Value = serde_json::from_str(&line.json)
            .map_err(|error| CliError::context("a record is not JSON", &error))?;
        let text =
            |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(intent) = record.get("intent").and_then(Value::as_u64) {
            let entry = open.remove(&intent).flatten().and_then(|index| entries.get_mut(index));
            if let Some(entry) = entry {
                entry["outcome"] = json!(text("/code"));
                entry["ended"] = json!(text("/time"));
                if let Some(detail) = record.get("detail") {
                    entry["detail"] = detail.clone();
                }
            }
            continue;
        }
        let (operation, kind) = (text("/op"), text("/kind"));
        let is_use = is_use(&operation);
        if is_use {
            *uses.entry(operation.clone()).or_default() += 1;
        }
        if is_use || (kind == "event" && text("/code") == "ok") {
            open.insert(line.seq, None);
            continue;
        }
        let mut entry = json!({
            "seq": line.seq,
            "time": text("/time"),
            "operation": operation,
            "version": record.pointer("/key/version").cloned().unwrap_or_default(),
            "by": actor(&record),
            "outcome": if kind == "event" { text("/code") } else { "open".to_owned() },
        });
        if let Some(fields) = record.pointer("/input/fields") {
            put(&mut entry, "what", fields.clone());
        }
        open.insert(line.seq, Some(entries.len()));
        entries.push(entry);
    }
    let fields = json!({"eoa": eoa.to_string(), "name": name.as_str(), "history": entries, "uses": uses});
    output.print(&fields, || {
        let mut rows: Vec<_> = entries.iter().map(row).collect();
        let uses: Vec<_> = uses.iter().map(|(operation, count)| format!("{count} × {operation}")).collect();
        rows.push(if uses.is_empty() {
            "never used".to_owned()
        } else {
            format!("used: {}", uses.join(", "))
        });
        rows.join("\n")
    });
    Ok(())
}

/// The actor in a few words.
fn actor(record: &Value) -> String {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let kind = text("/actor/kind").unwrap_or("?");
    match (text("/actor/access_token"), text("/actor/eoa")) {
        (Some(token), _) => format!("{kind} {token}"),
        (None, Some(eoa)) => format!("{kind} {eoa}"),
        (None, None) => kind.to_owned(),
    }
}

fn row(entry: &Value) -> String {
    let of = |name: &str| match entry.get(name) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let what = entry.get("what").and_then(Value::as_object).map(|fields| {
        let words = fields.iter().map(|(name, value)| match value {
            Value::String(text) => format!("{name}: {text}"),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                format!("{name}: {value}")
            }
        });
        words.collect::<Vec<_>>().join("; ")
    });
    let detail = entry.get("detail").and_then(Value::as_str).map(|detail| format!("  ({detail})"));
    format!(
        "{:>6}  {}  {:<16} v{:<3} {:<20} by {}{}{}",
        of("seq"),
        of("time").get(..19).unwrap_or_default(),
        of("operation"),
        of("version"),
        of("outcome"),
        of("by"),
        what.map(|what| format!("  {what}")).unwrap_or_default(),
        detail.unwrap_or_default()
    )
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
