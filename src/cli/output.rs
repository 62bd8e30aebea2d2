//! Output of commands: text for people on standard output, or one JSON object with `--json`.

use std::io::{BufRead, IsTerminal};

use serde_json::Value;

use super::error::CliError;

/// How commands print.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    /// Prints text for people, or the object for programs.
    #[expect(clippy::print_stdout, reason = "this is what standard output is for")]
    pub(super) fn print(self, value: &Value, people: impl FnOnce() -> String) {
        if self.json {
            println!("{value}");
        } else {
            println!("{}", people());
        }
    }
}

/// Prints a message to standard error.
#[expect(clippy::print_stderr, reason = "the one place where a command prints an error")]
pub(super) fn say(message: &str) {
    eprintln!("avs-kms: {message}");
}

/// Asks on a terminal. Elsewhere no operator can answer: then `--yes` must say it.
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage(format!("{question}; there is no terminal to ask on: pass --yes")));
    }
    say(&format!("{question} [yes/no]"));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| CliError::context("cannot read the answer", &error))?;
    if answer.trim() == "yes" { Ok(()) } else { Err(CliError::new(format!("{question} Not confirmed"))) }
}

/// A member at a JSON pointer, as people read it.
pub(super) fn member(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The elements of an array member; none where there is no such member.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// One line per element, or a sentence where there is none.
pub(super) fn rows(elements: &[Value], none: &str, row: impl Fn(&Value) -> String) -> String {
    let rows: Vec<_> = elements.iter().map(row).collect();
    if rows.is_empty() { none.to_owned() } else { rows.join("\n") }
}
