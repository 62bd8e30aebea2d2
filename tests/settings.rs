//! The places that describe the settings say the same: the program, the example file, the table in the README.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn the_readme_lists_every_setting_of_the_example_with_its_default() {
    let example = example();
    assert!(example.len() > 10, "the example file was not understood: {example:?}");
    assert_eq!(table(), example);
}

#[test]
fn the_example_shows_the_defaults_of_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let digest = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        avs_kms::config::load(Some(&file), &[]).unwrap_or_else(|mistakes| panic!("{name}: {mistakes}")).digest
    };
    let example = text("avs-kms.example.toml");
    let switched_on: Vec<_> = example.lines().map(|line| setting(line).unwrap_or(line)).collect();
    let defaults = digest("empty.toml", "");
    assert_eq!(digest("as_it_is.toml", &example), defaults);
    assert_eq!(digest("switched_on.toml", &switched_on.join("\n").replace("<data>", "./var")), defaults);
}

/// Setting and default of each commented-out line of the example file.
fn example() -> BTreeMap<String, String> {
    let mut section = String::new();
    let mut settings = BTreeMap::new();
    for line in text("avs-kms.example.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((name, value)) = setting(line).and_then(|line| line.split_once(" = ")) {
            settings.insert(format!("{section}.{name}"), value.trim_matches('"').to_owned());
        }
    }
    settings
}

/// A commented-out `#name = value` without its comment sign; prose has a space after it.
fn setting(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Setting and default of each row of the README's table.
fn table() -> BTreeMap<String, String> {
    let text = text("README.md");
    let (_, rows) = text.split_once("| setting | default |").expect("the README has the table");
    let rows = rows.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        (cells[1].to_owned(), cells[2].to_owned())
    })
    .collect()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}
