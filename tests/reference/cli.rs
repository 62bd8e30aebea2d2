//! The reference page of the commands: what `--help` prints.

use clap::Command;

const PAGE: &str = "\
# Command line

<!-- Generated from the commands' own help by tests/reference.rs. Do not edit. -->

`avs-kms COMMAND --help` prints the same.
";

pub(crate) fn page() -> String {
    let mut command = avs_kms::cli::command().term_width(100);
    command.build();
    let mut text = PAGE.to_owned();
    add(&mut text, &mut command, "");
    text
}

fn add(text: &mut String, command: &mut Command, above: &str) {
    let name = format!("{above}{}", command.get_name());
    let help = command.render_long_help().to_string();
    let help: Vec<_> = help.lines().map(str::trim_end).collect();
    *text += &format!("\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    for below in command.get_subcommands_mut() {
        if below.get_name() != "help" && !below.is_hide_set() {
            add(text, below, &format!("{name} "));
        }
    }
}
