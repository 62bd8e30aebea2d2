//! `avs-kms keys schedule set|show`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::arguments::{Reason, put};
use crate::cli::admin::local_socket::{LocalRequest, send};
use crate::cli::error::CliError;
use crate::cli::output::{Output, list, member, rows};
use crate::config::Configuration;
use crate::key::Eoa;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Set when a key, or every key of an EOA, is rotated
    #[command(after_help = "\
Examples:
  avs-kms keys schedule set --eoa 0x… --every-days 90 --announce-days 14 --activate
  avs-kms keys schedule set --eoa 0x… --every-days 0")]
    Set(Schedule),
    /// Show when the keys of an EOA are rotated
    #[command(after_help = "Example:\n  avs-kms keys schedule show --eoa 0x…")]
    Show {
        /// Owner of the keys
        #[arg(long)]
        eoa: Eoa,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Schedule {
    /// Owner of the key
    #[arg(long)]
    eoa: Eoa,
    /// Name of the key, or `*` for every key of the EOA
    #[arg(long, default_value = "default")]
    name: String,
    /// Days for which a version is current; 0 ends the schedule
    #[arg(long)]
    every_days: u32,
    /// Days by which the next version is created before it is due [default: 7]
    #[arg(long)]
    announce_days: Option<u32>,
    /// Days for which the old version signs at least [default: 21]
    #[arg(long)]
    overlap_days: Option<u32>,
    /// Make the next version current automatically
    #[arg(long)]
    activate: bool,
    /// What retires the old version: a confirmation by you or the chain, or the end of the overlap
    /// [default: confirmed]
    #[arg(long, value_parser = ["confirmed", "overlap"])]
    retire_on: Option<String>,
    /// Hours over which due dates are spread [default: 0]
    #[arg(long)]
    jitter_hours: Option<u32>,
    #[command(flatten)]
    reason: Reason,
}

impl Schedule {
    fn body(&self) -> Value {
        let mut body = json!({
            "eoa": self.eoa.to_string(),
            "name": self.name,
            "every_days": self.every_days,
            "activate": self.activate,
        });
        put(&mut body, "announce_days", self.announce_days);
        put(&mut body, "overlap_days", self.overlap_days);
        put(&mut body, "retire_on", self.retire_on.clone());
        put(&mut body, "jitter_hours", self.jitter_hours);
        self.reason.put(&mut body);
        body
    }
}

pub(super) fn run(command: &Command, configuration: &Configuration, output: Output) -> Result<(), CliError> {
    let request = match command {
        Command::Set(schedule) => LocalRequest::post("/v1/keys/schedule", schedule.body()),
        Command::Show { eoa } => {
            LocalRequest::list(format!("/v1/keys/schedule?limit=1000&eoa={eoa}"), "keys")
        }
    };
    let response = send(configuration, request)?;
    output.print(&response, || match command {
        Command::Show { .. } => rows(list(&response, "keys"), "no keys", row),
        Command::Set(_) => {
            let scheduled = member(&response, "/scheduled") == "true";
            let what = if scheduled { "scheduled" } else { "no schedule" };
            match response.get("warning") {
                None => what.to_owned(),
                Some(_) => format!("{what}\nwarning: {}", member(&response, "/warning")),
            }
        }
    });
    Ok(())
}

fn row(key: &Value) -> String {
    let of = |pointer| member(key, pointer);
    let ends: Vec<_> = list(key, "ends")
        .iter()
        .map(|end| {
            format!("v{} {} ends {}", member(end, "/version"), member(end, "/state"), member(end, "/at"))
        })
        .collect();
    format!(
        "{:<24}  v{:<3} announced {}  due {}  {}",
        of("/name"),
        of("/current"),
        of("/announce_at"),
        of("/due_at"),
        ends.join(", ")
    )
}
