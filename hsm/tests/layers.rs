//! Which file of this crate calls the PKCS#11 module itself, and which reads a scalar. Not for: circles
//! (`tests/architecture`).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a failed unwrap is a failed test

use std::collections::BTreeMap;
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
fn three_files_call_the_module() {
    let named = |word: &str| -> Vec<_> {
        let names = |text: &String| code(text).any(|line| line.contains(word));
        sources().into_iter().filter(|(_, text)| names(text)).map(|(path, _)| path).collect()
    };
    let files = ["pkcs11/functions.rs", "pkcs11/library.rs", "pkcs11/secret.rs"];
    assert_eq!(named("cryptoki_sys"), files.map(PathBuf::from));
    // `pkcs11::Session` checks the generation; a session of `cryptoki` does not.
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
