#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test should panic"
)]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::*;
use crate::http::endpoints;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document(endpoints()));

/// The contract with clients: the calls and members of the reference page.
static CONTRACT: LazyLock<&str> = LazyLock::new(|| {
    let page = include_str!("../../../docs/reference/http-api.md");
    page.split_once("\n## Calls and members\n").unwrap().1
});

/// `METHOD /path` of every call in the document.
fn described() -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        calls.extend(
            item.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())),
        );
    }
    calls
}

fn operations() -> impl Iterator<Item = (&'static str, &'static Value)> {
    let items = DOCUMENT["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    operations.map(|operation| (operation["operationId"].as_str().unwrap(), operation))
}

/// Texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn every_endpoint_of_clients_is_described_and_no_local_one() {
    let mut of_clients = BTreeSet::new();
    for endpoint in endpoints() {
        let call = format!("{} {}", endpoint.method, endpoint.path);
        assert_eq!(endpoint.is_local(), call.contains(" /local/"), "{call}");
        assert_eq!(endpoint.is_local(), endpoint.description.is_none(), "{call}");
        if !endpoint.is_local() {
            assert!(of_clients.insert(call));
        }
    }
    assert!(of_clients.len() > 10);
    assert_eq!(described(), of_clients);
}

#[test]
fn every_operation_with_a_route_has_one_and_no_internal_one_has() {
    let mut routed = BTreeSet::new();
    for endpoint in endpoints() {
        assert_ne!(endpoint.operation.access, Access::Internal, "{}", endpoint.operation.name);
        assert!(routed.insert(endpoint.operation.name), "{}", endpoint.operation.name);
    }
    for operation in crate::service::operation::ALL {
        let open_or_authenticated = !matches!(operation.access, Access::Internal | Access::Local);
        // The health listener alone has it.
        if open_or_authenticated && operation.name != "service.metrics" {
            assert!(
                routed.contains(operation.name) || operation.name == "keys.destroy_due",
                "{}",
                operation.name
            );
        }
    }
}

#[test]
fn the_calls_are_those_of_the_contract() {
    let calls = quoted(&CONTRACT).filter(|text| text.starts_with("GET /") || text.starts_with("POST /"));
    let promised: BTreeSet<_> = calls.map(|call| call.split('?').next().unwrap().to_owned()).collect();
    assert_eq!(described(), promised);
}

#[test]
fn what_cannot_be_undone_takes_a_signature_and_nothing_that_is_signed_for_takes_less() {
    let schemes = DOCUMENT["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes["signature"]["scheme"], "EIP712");
    for (id, operation) in operations() {
        let Some(ways) = operation["security"].as_array() else { continue };
        let names: Vec<_> = ways.iter().flat_map(|way| way.as_object().unwrap().keys()).collect();
        assert!(names.iter().all(|name| schemes.contains_key(*name)), "{id} {names:?}");
        if ["keys_destroy", "keys_restore", "keys_unretire"].contains(&id) {
            assert_eq!(names, ["signature"], "{id}");
        }
        assert_eq!(id != "auth_revoke", names.iter().any(|name| *name == "signature"), "{id}");
        assert!(!operation["security"].to_string().contains("keys:destroy"), "{id}: no token suffices");
    }
    assert!(operations().any(|(id, _)| id == "keys_destroy"));
}

#[test]
fn every_code_has_a_sentence() {
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap();
    let without: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| !examples["codes"][code].is_string())
        .collect();
    assert!(without.is_empty(), "no sentence in examples.json: {without:?}");
}

#[test]
fn the_members_of_requests_are_those_of_the_contract() {
    let mut compared = 0;
    for row in CONTRACT.lines().filter(|row| row.starts_with("| `POST /v1/")) {
        let cells: Vec<_> = row.split(" | ").collect();
        let call = quoted(cells[0]).next().unwrap();
        let path = call.strip_prefix("POST ").unwrap();
        // `{eoa, name?, hash: …}`, or two of them; `…` stands for what the first has.
        let mut promised = BTreeSet::new();
        for form in quoted(cells[1]) {
            let members = form.trim_start_matches('{').trim_end_matches('}').split(',').map(str::trim);
            let names = members.map(|member| member.split([':', '?', ' ']).next().unwrap().to_owned());
            promised.extend(names.filter(|name| !name.is_empty() && name != "…"));
        }
        let schema = &DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(members(schema), promised, "{call}");
        compared += 1;
    }
    assert!(compared >= 5, "the tables were not understood");
}

#[test]
fn the_members_of_answers_are_those_of_the_contract() {
    // The text between a type's name and the paragraph's end; nested objects are looked at by their own names.
    let promised = |name: &str| {
        let (_, rest) = CONTRACT.split_once(&format!("`{name}`: `{{")).unwrap();
        let (form, _) = rest.split_once("}`").unwrap();
        let mut names = BTreeSet::new();
        let (mut depth, mut value) = (0, false);
        // Every second piece is in quotation marks; after a colon it is an example of a value.
        for (at, piece) in form.split('"').enumerate() {
            if at % 2 == 0 {
                depth += piece.matches(['{', '[', '(']).count();
                depth -= piece.matches(['}', ']', ')']).count();
                value = piece.trim_end().ends_with(':');
            } else if depth == 0 && !value {
                names.insert(piece.to_owned());
            }
        }
        names
    };
    assert_eq!(members(&json!({"$ref": "#/components/schemas/KeyRecord"})), promised("KeyRecord"));
    let mut signed = members(&json!({"$ref": "#/components/schemas/SignResult"}));
    assert!(signed.remove("digest"), "the typed calls answer their digest, too");
    assert_eq!(signed, promised("SignResult"));
    assert_eq!(
        members(&json!({"$ref": "#/components/schemas/Error"})),
        set(&["error", "code", "request_id", "field", "retry_after_ms"])
    );
}

/// The members that a schema names, in whatever of its forms.
fn members(schema: &Value) -> BTreeSet<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return members(DOCUMENT.pointer(name.strip_prefix('#').unwrap()).unwrap());
    }
    let mut names = BTreeSet::new();
    names.extend(schema["properties"].as_object().into_iter().flat_map(|map| map.keys().cloned()));
    for part in ["oneOf", "allOf"] {
        names.extend(schema[part].as_array().into_iter().flatten().flat_map(members));
    }
    names
}

#[test]
fn every_body_has_an_example_and_no_example_is_of_nothing() {
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap();
    let mut ids = BTreeSet::new();
    for (id, operation) in operations() {
        ids.insert(id.to_owned());
        if !operation["requestBody"].is_null() {
            let content = &operation["requestBody"]["content"]["application/json"];
            let names = members(&content["schema"]);
            let example = content["example"].as_object().unwrap_or_else(|| panic!("{id}: no request"));
            assert!(example.keys().all(|name| names.contains(name)), "{id}: {example:?} {names:?}");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let content = &answer["content"]["application/json"];
            let html = answer["content"]["text/html"].is_object();
            let shown = content["example"].is_object() || content["examples"].is_object() || html;
            assert!(shown, "{id}: no example for {status}");
            assert!(answer["headers"]["x-request-id"].is_object());
            if status.starts_with('2') && !html && id != "docs_openapi" {
                let example: BTreeSet<_> = content["example"].as_object().unwrap().keys().cloned().collect();
                let names = members(&content["schema"]);
                assert!(names.is_superset(&example), "{id}: {example:?} is not of {names:?}");
            }
        }
    }
    let names = examples["calls"].as_object().unwrap().keys();
    let shown: BTreeSet<_> = names.map(|name| name.replace('.', "_")).collect();
    assert!(ids.is_superset(&shown), "examples of calls that are not there: {shown:?}");
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(value: &Value) {
        if let Some(name) = value["$ref"].as_str() {
            assert!(DOCUMENT.pointer(name.strip_prefix('#').unwrap()).is_some(), "{name} is not there");
        }
        value.as_object().into_iter().flat_map(Map::values).for_each(check);
        value.as_array().into_iter().flatten().for_each(check);
    }
    check(&DOCUMENT);
}

#[test]
fn the_page_names_no_other_host() {
    let page = include_str!("page.html");
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("//cdn"), "{page}");
    for word in ["src=", "@import", "url(", "innerHTML"] {
        assert!(!page.contains(word), "{word}");
    }
}
