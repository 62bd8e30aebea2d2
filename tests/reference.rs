//! Generated documents: the committed copies are what the program's own descriptions say.
//!
//! `AVS_KMS_BLESS=1 cargo test --test reference` writes them again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

#[path = "reference/cli.rs"]
mod cli;
#[path = "reference/configuration.rs"]
mod configuration;
#[path = "reference/error_codes.rs"]
mod error_codes;
#[allow(dead_code, reason = "the suite uses more of it")]
#[path = "modules/page.rs"]
mod modules;
#[path = "reference/return_codes.rs"]
mod return_codes;
#[allow(dead_code, reason = "the suite uses more of it")]
#[path = "modules/row.rs"]
mod row;
#[allow(dead_code, reason = "the suite uses more of it")]
#[path = "modules/rows.rs"]
mod rows;
#[path = "reference/transitions.rs"]
mod transitions;

use std::path::Path;

/// The generated files, each with its content.
fn documents() -> [(&'static str, String); 7] {
    [
        ("avs-kms.example.toml", configuration::example()),
        ("docs/reference/configuration.md", configuration::page()),
        ("docs/reference/cli.md", cli::page()),
        ("docs/reference/error-codes.md", error_codes::page()),
        ("docs/reference/return-codes.md", return_codes::page()),
        ("docs/reference/transitions.md", transitions::page()),
        // With the figures that it has: `make test-modules` measures them.
        (modules::PATH, modules::page(&modules::figures(&committed(modules::PATH)))),
    ]
}

fn committed(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap_or_default()
}

#[test]
fn the_committed_documents_are_the_generated_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bless = std::env::var_os("AVS_KMS_BLESS").is_some_and(|value| value == "1");
    let mut stale = Vec::new();
    for (name, generated) in documents() {
        let path = root.join(name);
        if bless {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        stale.extend(difference(&committed, &generated).map(|what| format!("{name}: {what}")));
    }
    assert!(
        stale.is_empty(),
        "{}\nrun `AVS_KMS_BLESS=1 cargo test --test reference` and commit the files",
        stale.join("\n")
    );
}

#[test]
fn a_planted_difference_is_found() {
    let [(_, example), ..] = documents();
    assert_eq!(difference(&example, &example), None);
    let planted = example.replacen("127.0.0.1:8254", "127.0.0.1:8253", 1);
    let found = difference(&planted, &example).unwrap();
    assert!(found.contains("8253") && found.contains("8254"), "{found}");
    assert!(difference(&example, "").unwrap().contains("line 1"));
}

/// The first line in which the committed text differs from the generated one.
fn difference(committed: &str, generated: &str) -> Option<String> {
    if committed == generated {
        return None;
    }
    let (mut old, mut new) = (committed.lines(), generated.lines());
    let mut number = 0;
    loop {
        number += 1;
        let (old, new) = (old.next(), new.next());
        if old != new || old.is_none() {
            let shown = |line: Option<&str>| line.unwrap_or("the end").to_owned();
            return Some(format!("line {number} is `{}`, generated is `{}`", shown(old), shown(new)));
        }
    }
}

#[test]
fn the_example_shows_the_defaults_of_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let digest = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        avs_kms::config::load(Some(&file), &[]).unwrap_or_else(|errors| panic!("{name}: {errors}")).digest
    };
    let example = configuration::example();
    let switched_on: Vec<_> = example.lines().map(|line| setting(line).unwrap_or(line)).collect();
    let defaults = digest("empty.toml", "");
    assert_eq!(digest("as_it_is.toml", &example), defaults);
    let switched_on = switched_on.join("\n").replace("<data>", "/var/lib/avs-kms");
    assert!(switched_on.contains("\nlisten = "), "{switched_on}");
    assert_eq!(digest("switched_on.toml", &switched_on), defaults);
}

/// A commented-out `#name = value` without its comment sign; prose has a space after it.
fn setting(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Breaks a text into lines of at most 100 columns that begin with `prefix`.
fn wrapped(text: &str, prefix: &str) -> String {
    let mut lines = vec![prefix.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        if line.len() > prefix.len() && line.len() + word.len() >= 100 {
            lines.push(format!("{prefix}{word}"));
        } else {
            if line.len() > prefix.len() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}
