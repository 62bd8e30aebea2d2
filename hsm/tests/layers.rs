//! The shape of this crate: which file calls the module itself, and that imports run in one direction.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a failed unwrap is a failed test

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every file below `src/` but tests, with its text; tests inside a file are cut off.
fn sources() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut directories) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_owned();
            if path.is_dir() {
                directories.push(path);
            } else if !name.ends_with("tests.rs")
                && !name.components().any(|part| part.as_os_str() == "tests")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
                found.insert(name, text);
            }
        }
    }
    found
}

fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"))
}

#[test]
fn only_one_file_calls_the_module_past_cryptoki() {
    let named = |word: &str| -> Vec<_> {
        let names = |text: &String| code(text).any(|line| line.contains(word));
        sources().into_iter().filter(|(_, text)| names(text)).map(|(path, _)| path).collect()
    };
    assert_eq!(named("cryptoki_sys"), [Path::new("pkcs11/secret.rs")]);
    // Sessions are reached through `pkcs11::Session` alone, which checks the generation.
    for path in named("cryptoki::session") {
        assert!(path.starts_with("pkcs11"), "{}", path.display());
    }
}

#[test]
fn the_bytes_of_a_scalar_are_read_by_the_wrapping_alone() {
    let scalar = &sources()[Path::new("wrap/scalar.rs")];
    assert!(
        scalar.contains("    pub(super) fn plain(&self) -> &[u8; PLAIN_LEN] {"),
        "who may read is decided there"
    );
}

/// The file of a module path; names inside a file are cut off.
fn file_of(path: &[&str], sources: &BTreeMap<PathBuf, String>) -> Option<PathBuf> {
    (1..=path.len()).rev().find_map(|length| {
        let file = PathBuf::from(format!("{}.rs", path[..length].join("/")));
        sources.contains_key(&file).then_some(file)
    })
}

/// Module paths that a file imports, absolute: `use crate::…`, `use super::…`, and what it names in full.
fn imports(file: &Path, text: &str) -> Vec<Vec<String>> {
    let own: Vec<_> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let text = code(text).collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for (root, base) in [("crate::", &own[..0]), ("super::", &own[..own.len() - 1])] {
        for (at, _) in text.match_indices(root) {
            let rest = &text[at + root.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let names = group.split('}').next().unwrap().split(',');
                found.extend(names.map(|name| [base, &[name.trim().to_owned()]].concat()));
                continue;
            }
            let end =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
            let names = rest[..end].split("::").filter(|name| !name.is_empty()).map(str::to_owned);
            found.push(base.iter().cloned().chain(names).collect());
        }
    }
    found
}

#[test]
fn imports_have_no_circle() {
    let sources = sources();
    let mut edges: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for (file, text) in sources.iter().filter(|(file, _)| !file.starts_with("bin")) {
        let to = edges.entry(file.clone()).or_default();
        for import in imports(file, text) {
            let import: Vec<_> = import.iter().map(String::as_str).collect();
            to.extend(file_of(&import, &sources).filter(|other| other != file));
        }
        // A facade re-exports its children.
        let folder = file.with_extension("");
        for line in code(text).filter_map(|line| line.split_once("use ").map(|(_, path)| path)) {
            let child = folder.join(format!("{}.rs", line.split("::").next().unwrap()));
            to.extend(sources.contains_key(&child).then_some(child));
        }
    }
    assert!(edges[Path::new("runtime/worker.rs")].contains(Path::new("wrap.rs")), "imports are found");
    assert!(edges[Path::new("wrap.rs")].contains(Path::new("wrap/record.rs")), "facades are found");
    // What imports nothing that is left, and what nothing that is left imports, is in no circle.
    loop {
        let imported: BTreeSet<_> = edges.values().flatten().cloned().collect();
        let free = |(file, to): (&PathBuf, &BTreeSet<PathBuf>)| {
            let leads_on = to.iter().any(|to| edges.contains_key(to));
            (!leads_on || !imported.contains(file)).then(|| file.clone())
        };
        let free: Vec<_> = edges.iter().filter_map(free).collect();
        if free.is_empty() {
            break;
        }
        free.iter().for_each(|file| drop(edges.remove(file)));
    }
    let left: Vec<_> = edges
        .iter()
        .map(|(file, to)| (file, to.iter().filter(|to| edges.contains_key(*to)).collect::<Vec<_>>()))
        .collect();
    assert!(left.is_empty(), "these import each other in a circle: {left:#?}");
}
