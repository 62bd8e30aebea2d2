//! What every crate of the workspace keeps to: no circle, no upward import, no name through a facade above, small files.

use std::collections::BTreeMap;
use std::path::Path;

use super::graph::{Crate, Edge, circles};
use super::order::{CRATES, FOLDERS, FORBIDDEN, Layers};
use super::tokens::{Kind, tokens};
use crate::walk;

/// Binaries and module roots that may use everything of their crate.
const ROOTS: [&str; 3] = ["lib", "main", "bin"];

/// The files of `hsm` with raw PKCS#11 calls.
const RAW_CALLS: [&str; 3] =
    ["hsm/src/pkcs11/functions.rs", "hsm/src/pkcs11/library.rs", "hsm/src/pkcs11/secret.rs"];

const MOST_LINES: usize = 300;
const MOST_FILES: usize = 14;
/// A crate's root has a file for each folder beside it.
const MOST_FILES_OF_A_ROOT: usize = 20;

/// Kinds of offences, and where they are still allowed. This list only becomes shorter.
const ALLOWED: [(&str, &str); 6] = [
    // A macro, for callers outside the folder.
    ("facade", "hsm/bn254/src/field/dispatch.rs"),
    ("forbidden", "src/http/"),
    ("size", "audit-log/src/checkpoint/publisher.rs"),
    ("size", "hsm/src/enclave/tests.rs"),
    ("size", "src/store/backend_tests.rs"),
    // The description of a route is beside the document that is made of it.
    ("upward", "src/http/routes/"),
];

/// Every offence, as `kind: where: what`.
fn offences(root: &Path) -> Vec<String> {
    let mut offences = Vec::new();
    for layers in CRATES.iter().filter(|layers| root.join(layers.source).exists()) {
        let files = read(root, layers.source);
        let edges = Crate::new(layers.name, &files).edges();
        let edges = edges.into_iter().map(|edge| below(layers.source, edge)).collect::<Vec<_>>();
        offences.extend(circles(&edges).iter().map(|circle| tell(circle, &edges)));
        offences.extend(edges.iter().filter_map(through_a_facade));
        offences.extend(edges.iter().filter_map(forbidden));
        offences.extend(upward(&format!("{}/", layers.source), layers.order, &edges));
        offences.extend(unknown(layers, &files));
        offences.extend(sizes(root, layers.source));
    }
    for (folder, order) in FOLDERS {
        let edges = Crate::new("avs_kms", &read(root, "src")).edges();
        let edges = edges.into_iter().map(|edge| below("src", edge)).collect::<Vec<_>>();
        offences.extend(upward(folder, order, &edges));
    }
    offences.extend(raw_calls(root));
    offences.sort();
    offences
}

/// The files of a crate, each with its path below `source`.
fn read(root: &Path, source: &str) -> Vec<(String, String)> {
    let directory = root.join(source);
    let files = walk(&directory, |name| name.ends_with(".rs"));
    let name = |file: &Path| file.strip_prefix(&directory).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|file| (name(file), std::fs::read_to_string(file).unwrap())).collect()
}

pub(crate) fn below(source: &str, edge: Edge) -> Edge {
    let place = |file: String| format!("{source}/{file}");
    Edge { from: place(edge.from), to: place(edge.to), through: edge.through.map(place), ..edge }
}

/// A circle with the imports that make it.
fn tell(circle: &[String], edges: &[Edge]) -> String {
    let inside = edges.iter().filter(|edge| circle.contains(&edge.from) && circle.contains(&edge.to));
    let pairs: BTreeMap<_, _> = inside.map(|edge| ((&edge.from, &edge.to), edge)).collect();
    let imports: Vec<_> = pairs
        .values()
        .map(|edge| format!("{}:{} -> {} ({})", edge.from, edge.line, edge.to, edge.path))
        .collect();
    format!("circle: {}: {} files\n    {}", circle[0], circle.len(), imports.join("\n    "))
}

pub(crate) fn through_a_facade(edge: &Edge) -> Option<String> {
    // A binary uses its crate from outside.
    let facade = edge.through.as_ref().filter(|_| !edge.from.contains("/bin/"))?;
    Some(format!("facade: {}:{}: import {} itself, not through {facade}", edge.from, edge.line, edge.path))
}

pub(crate) fn forbidden(edge: &Edge) -> Option<String> {
    let is_in =
        |file: &str, place: &str| file.strip_prefix(place).is_some_and(|rest| rest.starts_with(['/', '.']));
    let rule = FORBIDDEN.iter().find(|(from, to, _)| is_in(&edge.from, from) && is_in(&edge.to, to));
    rule.map(|(_, _, why)| format!("forbidden: {}:{}: {}: {why}", edge.from, edge.line, edge.path))
}

/// The module of `folder` that a file belongs to.
fn module<'a>(folder: &str, file: &'a str) -> Option<&'a str> {
    let rest = file.strip_prefix(folder)?;
    Some(rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs"))
}

/// Imports inside `folder` from a module that is above the importing one, or beside it.
pub(crate) fn upward(folder: &str, order: &[&[&str]], edges: &[Edge]) -> Vec<String> {
    let rank = |module: &str| order.iter().position(|level| level.contains(&module));
    let is_wrong = |edge: &&Edge| {
        let (from, to) = (module(folder, &edge.from), module(folder, &edge.to));
        let (Some(from), Some(to)) = (from, to) else { return false };
        from != to && rank(from).zip(rank(to)).is_some_and(|(from, to)| from <= to)
    };
    let tell = |edge: &Edge| format!("upward: {}:{}: {}", edge.from, edge.line, edge.path);
    edges.iter().filter(is_wrong).map(tell).collect()
}

/// Modules without a place in the order.
fn unknown(layers: &Layers, files: &[(String, String)]) -> Vec<String> {
    let is_known = |name: &str| {
        ROOTS.contains(&name) || name == "tests" || layers.order.iter().any(|level| level.contains(&name))
    };
    let names = files.iter().map(|(file, _)| module("", file).unwrap_or_default());
    let unknown = names.filter(|name| !layers.order.is_empty() && !is_known(name) && *name != "testing");
    unknown.map(|name| format!("unknown: {}/{name}: it has no place in the order", layers.source)).collect()
}

fn sizes(root: &Path, source: &str) -> Vec<String> {
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    let mut offences = Vec::new();
    for (file, text) in read(root, source) {
        let lines = text.lines().count();
        if lines > MOST_LINES {
            offences.push(format!("size: {source}/{file}: {lines} lines"));
        }
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        *folders.entry(folder.to_owned()).or_default() += 1;
    }
    for (folder, count) in folders {
        let most = if folder.is_empty() { MOST_FILES_OF_A_ROOT } else { MOST_FILES };
        if count > most {
            offences.push(format!("size: {source}/{folder}: {count} files in one folder"));
        }
    }
    offences
}

fn raw_calls(root: &Path) -> Vec<String> {
    let is_raw = |word: &Kind| *word == Kind::Word("cryptoki_sys".to_owned());
    let mut offences = Vec::new();
    for (file, text) in read(root, "hsm/src") {
        let name = format!("hsm/src/{file}");
        if RAW_CALLS.contains(&&*name) || name.contains("/tests") {
            continue;
        }
        if let Some(token) = tokens(&text).iter().find(|token| is_raw(&token.kind)) {
            offences.push(format!("raw: {name}:{}: only {RAW_CALLS:?} name cryptoki_sys", token.line));
        }
    }
    offences
}

/// Whether an offence is of a kind that is still allowed in its place.
fn is_allowed(offence: &str) -> bool {
    ALLOWED.iter().any(|(kind, place)| {
        offence
            .strip_prefix(kind)
            .and_then(|rest| rest.strip_prefix(": "))
            .is_some_and(|rest| rest.starts_with(place))
    })
}

#[test]
fn crates_have_no_circles_no_upward_imports_and_no_large_files() {
    let offences = offences(Path::new(env!("CARGO_MANIFEST_DIR")));
    let new: Vec<_> = offences.into_iter().filter(|offence| !is_allowed(offence)).collect();
    assert!(new.is_empty(), "{} offence(s):\n{}", new.len(), new.join("\n"));
}
