//! What the source must keep to: the order of its modules, programs that must not compile, ports of the tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

mod ci;
mod layers;
mod must_not_compile;
mod ports;

use std::path::{Path, PathBuf};

/// Every file below `directory` whose name is wanted, in a stable order; not what was built.
fn walk(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for path in std::fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !["target", "node_modules"].contains(&name) {
                    open.push(path);
                }
            } else if is_wanted(name) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
