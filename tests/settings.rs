//! The places that describe the settings say the same: the example file and the table in the README.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn the_readme_lists_every_setting_of_the_example_with_its_default() {
    let example = example();
    assert!(example.len() > 10, "the example file was not understood: {example:?}");
    assert_eq!(table(), example);
}

/// Setting and default of each commented-out line of the example file.
fn example() -> BTreeMap<String, String> {
    let mut section = String::new();
    let mut settings = BTreeMap::new();
    for line in text("avs-kms.example.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((name, value)) = line.strip_prefix('#').and_then(|rest| rest.split_once(" = "))
            && name.chars().all(|c| c == '_' || c.is_ascii_lowercase())
        {
            settings.insert(format!("{section}.{name}"), value.trim_matches('"').to_owned());
        }
    }
    settings
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
