//! Keys as text: one line in a list, or one line per member.

use serde_json::Value;

use crate::cli::output::member;

/// A key in a list.
pub(super) fn row(key: &Value) -> String {
    let of = |pointer| member(key, pointer);
    format!(
        "{}  {:<24}  v{:<3} {:<17}  {}",
        of("/eoa"),
        of("/name"),
        of("/version"),
        of("/state"),
        of("/created_at")
    )
}

/// A version of a key.
pub(super) fn details(version: &Value) -> String {
    let always = [
        ("eoa", "/eoa"),
        ("name", "/name"),
        ("version", "/version"),
        ("state", "/state"),
        ("created", "/created_at"),
        ("operator id", "/operator_id"),
        ("g1.x", "/g1/x"),
        ("g1.y", "/g1/y"),
        ("g2.x[0]", "/g2/x/0"),
        ("g2.x[1]", "/g2/x/1"),
        ("g2.y[0]", "/g2/y/0"),
        ("g2.y[1]", "/g2/y/1"),
    ];
    let optional = [
        ("activated", "/activated_at"),
        ("retiring", "/retiring_at"),
        ("retired", "/retired_at"),
        ("destroy at", "/destroy_at"),
        ("destroyed", "/destroyed_at"),
        ("registry", "/binding/registry"),
        ("contract", "/binding/verifying_contract"),
        ("chain", "/binding/chain_id"),
        ("operator", "/binding/operator"),
        ("avs", "/binding/avs"),
        ("operator set", "/binding/operator_set_id"),
        ("registered", "/binding/registered"),
    ];
    let optional = optional.into_iter().filter(|(_, pointer)| version.pointer(pointer).is_some());
    let lines: Vec<_> = always
        .into_iter()
        .chain(optional)
        .map(|(label, pointer)| format!("{label:<12} {}", member(version, pointer)))
        .collect();
    lines.join("\n")
}
