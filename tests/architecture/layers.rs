//! The order of modules, one way only and without circles (`src/lib.rs` has the map of the service).
//!
//! Reads what each file names and fails on an upward import, with file and line. Not for: the boundaries of crates,
//! which `Cargo.toml` and `deny.toml` keep.

mod checker;
mod graph;
mod order;
mod paths;
mod planted;
mod rules;
mod source;
mod structure;
mod tokens;

use std::path::{Path, PathBuf};

use super::walk;

#[test]
fn no_module_uses_a_higher_one() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut offences = Vec::new();
    for file in rust_files(&src) {
        let name = file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        offences.extend(rules::check(&name, &text).iter().map(|offence| format!("src/{name}:{offence}")));
    }
    assert!(offences.is_empty(), "{} offence(s):\n{}", offences.len(), offences.join("\n"));
}

#[test]
fn the_map_in_lib_rs_lists_the_modules_in_this_order() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let map = std::fs::read_to_string(src.join("lib.rs")).unwrap();
    let listed: Vec<&str> = map
        .lines()
        .filter_map(|line| line.strip_prefix("//! - [`"))
        .filter_map(|line| line.split_once('`'))
        .map(|(name, _)| name)
        .filter(|name| *name != "config") // a leaf: it has no place in the order
        .collect();
    let ranks: Vec<usize> = listed
        .iter()
        .map(|name| rules::rank(name).unwrap_or_else(|| panic!("the order does not know {name}")))
        .collect();
    assert!(ranks.is_sorted(), "lib.rs lists {listed:?}, the order is {:?}", rules::ORDER);

    for module in rust_files(&src).iter().filter(|file| file.parent() == Some(src.as_path())) {
        let name = module.file_stem().unwrap().to_str().unwrap();
        if !["lib", "main", "cli", "config"].contains(&name) {
            assert!(listed.contains(&name), "the map in lib.rs leaves out {name}");
        }
    }
}

#[test]
fn unsafe_code_is_allowed_only_where_the_architecture_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/contributing/architecture.md")).unwrap();
    let (_, section) = document.split_once("## Where `unsafe` is").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut places_of_unsafe: Vec<(&str, bool)> = section
        .lines()
        .filter_map(|line| line.strip_prefix("- `"))
        .filter_map(|line| line.split_once('`'))
        .map(|(place, _)| (place, false))
        .collect();
    let places = ["src", "audit-log", "files", "hsm", "client", "benches", "examples", "tests", "fuzz"];
    for file in places.iter().flat_map(|place| walk(&root.join(place), is_rust)) {
        let text = std::fs::read_to_string(&file).unwrap();
        // As an attribute, not as a word in a text such as this one.
        if !text.lines().any(|line| line.trim_start().starts_with('#') && line.contains("allow(unsafe_code"))
        {
            continue;
        }
        let name = file.strip_prefix(root).unwrap();
        let place = places_of_unsafe
            .iter_mut()
            .find(|(place, _)| name.starts_with(place) || name.with_extension("").starts_with(place));
        let Some(place) = place else {
            panic!("{}: unsafe code, which the page does not list", name.display())
        };
        place.1 = true;
    }
    for (place, used) in places_of_unsafe {
        assert!(used, "nothing unsafe is in {place}");
    }
}

/// The files of a crate; a walk that finds no crate root is a broken walk.
fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let found = walk(directory, is_rust);
    assert!(found.contains(&directory.join("lib.rs")), "no lib.rs below {}", directory.display());
    found
}

fn is_rust(name: &str) -> bool {
    name.ends_with(".rs")
}
