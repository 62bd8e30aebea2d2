//! `avs-kms keys rotate|activate|retire|disable|enable|destroy|restore|schedule|schedules|events`.

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Key, details, list, member};
use crate::cli::admin::local_socket::{Ask, ask};
use crate::cli::error::Failed;
use crate::cli::output::Output;
use crate::cli::serve::open::Needs;
use crate::config::Configuration;
use crate::key::Eoa;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    #[command(disable_version_flag = true)]
    /// Make the next version of a key, pending, and its registration proof where it is bound.
    Rotate {
        #[command(flatten)]
        key: Key,
        /// The number that it is to have: a repetition makes no second one.
        #[arg(long)]
        version: Option<u32>,
        #[command(flatten)]
        binding: Binding,
        #[command(flatten)]
        why: Why,
    },
    #[command(disable_version_flag = true)]
    /// Make the pending version the current one; the old one goes on signing when asked for by number.
    Activate(Of),
    #[command(disable_version_flag = true)]
    /// Let a version that is no longer current refuse.
    Retire(Of),
    #[command(disable_version_flag = true)]
    /// Freeze a version: it signs nothing until it is enabled.
    Disable(Of),
    #[command(disable_version_flag = true)]
    /// Thaw a version.
    Enable(Of),
    #[command(disable_version_flag = true)]
    /// Schedule the destruction of a version.
    Destroy {
        #[command(flatten)]
        of: Of,
        /// After so many days, at least 7.
        #[arg(long, default_value_t = crate::service::GRACE_DAYS)]
        after_days: u32,
    },
    /// Cancel the destruction of a version before its date.
    #[command(alias = "undestroy", disable_version_flag = true)]
    Restore(Of),
    /// Set when a key, or every key of an EOA, is rotated.
    Schedule(Schedule),
    /// Show when the keys of an EOA are rotated.
    Schedules {
        /// Whose keys.
        #[arg(long)]
        eoa: Eoa,
    },
    /// Print what happened to keys, one JSON object a line.
    Events {
        /// Only what has a higher number.
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
}

/// A version of a key.
#[derive(Debug, Args)]
pub(in crate::cli) struct Of {
    #[command(flatten)]
    key: Key,
    /// Its number, `current` or `next`.
    #[arg(long)]
    version: Option<String>,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Why {
    /// Why, for the audit log.
    #[arg(long)]
    reason: Option<String>,
}

/// Where a version will be registered.
#[derive(Debug, Args)]
pub(in crate::cli) struct Binding {
    /// Bind it to a registry: bls_apk_registry or key_registrar.
    #[arg(long, requires = "chain_id", requires = "verifying_contract")]
    registry: Option<String>,
    /// The chain's id.
    #[arg(long, requires = "registry")]
    chain_id: Option<u64>,
    /// The registry coordinator's or the KeyRegistrar's address.
    #[arg(long, requires = "registry")]
    verifying_contract: Option<Eoa>,
    /// Who registers, where it is not the owner.
    #[arg(long, requires = "registry")]
    operator: Option<Eoa>,
    /// The AVS, for key_registrar.
    #[arg(long, requires = "registry")]
    avs: Option<Eoa>,
    /// Its operator set, for key_registrar.
    #[arg(long, requires = "registry")]
    operator_set_id: Option<u32>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Schedule {
    /// The owner's address.
    #[arg(long)]
    eoa: Eoa,
    /// The name of the key, or `*` for every key of the EOA.
    #[arg(long, default_value = "default")]
    name: String,
    /// A version is current for so many days; 0 ends the schedule.
    #[arg(long)]
    every_days: u32,
    /// The next version is made so many days before [default: 7].
    #[arg(long)]
    announce_days: Option<u32>,
    /// The old version signs for at least so many days [default: 21].
    #[arg(long)]
    overlap_days: Option<u32>,
    /// The next version becomes current by itself.
    #[arg(long)]
    activate: bool,
    /// `confirmed` (by you or the chain) or `overlap` (by itself) [default: confirmed].
    #[arg(long)]
    retire_on: Option<String>,
    /// Spread due dates over so many hours [default: 0].
    #[arg(long)]
    jitter_hours: Option<u32>,
    #[command(flatten)]
    why: Why,
}

/// Puts a member into a body, where there is one.
fn put(body: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(members), Some(value)) = (body.as_object_mut(), value) {
        members.insert(name.to_owned(), value.into());
    }
}

impl Binding {
    pub(in crate::cli) fn put(&self, body: &mut Value) {
        let Some(registry) = &self.registry else { return };
        let address = |eoa: &Option<Eoa>| eoa.map(|eoa| eoa.to_string());
        let mut binding = json!({ "registry": registry });
        put(&mut binding, "chain_id", self.chain_id);
        put(&mut binding, "verifying_contract", address(&self.verifying_contract));
        put(&mut binding, "operator", address(&self.operator));
        put(&mut binding, "avs", address(&self.avs));
        put(&mut binding, "operator_set_id", self.operator_set_id);
        put(body, "binding", Some(binding));
    }
}

impl Of {
    fn body(&self) -> Value {
        let mut body = json!({"eoa": self.key.eoa.to_string(), "name": self.key.name.as_str()});
        // A number is a number, a word is left to the service to understand.
        let version = self
            .version
            .as_ref()
            .map(|text| text.parse::<u32>().map_or_else(|_| Value::from(text.as_str()), Value::from));
        put(&mut body, "version", version);
        put(&mut body, "reason", self.why.reason.clone());
        body
    }
}

impl Schedule {
    fn body(&self) -> Value {
        let mut body = json!({"eoa": self.eoa.to_string(), "name": self.name, "every_days": self.every_days, "activate": self.activate});
        put(&mut body, "announce_days", self.announce_days);
        put(&mut body, "overlap_days", self.overlap_days);
        put(&mut body, "retire_on", self.retire_on.clone());
        put(&mut body, "jitter_hours", self.jitter_hours);
        put(&mut body, "reason", self.why.reason.clone());
        body
    }
}

pub(super) fn run(command: &Command, configuration: Configuration, output: Output) -> Result<(), Failed> {
    let post = |path: &str, body: Value, needs| (Method::POST, format!("/v1/keys/{path}"), Some(body), needs);
    let (method, path, body, needs) = match command {
        Command::Rotate { key, version, binding, why } => {
            let mut body = json!({"eoa": key.eoa.to_string(), "name": key.name.as_str()});
            put(&mut body, "version", *version);
            put(&mut body, "reason", why.reason.clone());
            binding.put(&mut body);
            post("rotate", body, Needs::Token)
        }
        // The token must hold what becomes current.
        Command::Activate(of) => post("activate", of.body(), Needs::Token),
        Command::Retire(of) => post("retire", of.body(), Needs::Books),
        Command::Disable(of) => post("disable", of.body(), Needs::Books),
        Command::Enable(of) => post("enable", of.body(), Needs::Books),
        Command::Destroy { of, after_days } => {
            let mut body = of.body();
            put(&mut body, "after_days", Some(*after_days));
            post("destroy", body, Needs::Books)
        }
        Command::Restore(of) => post("restore", of.body(), Needs::Books),
        Command::Schedule(schedule) => post("schedule", schedule.body(), Needs::Books),
        Command::Schedules { eoa } => {
            (Method::GET, format!("/v1/keys/schedule?eoa={eoa}"), None, Needs::Books)
        }
        Command::Events { after } => {
            (Method::GET, format!("/v1/events?limit=1000&after={after}"), None, Needs::Books)
        }
    };
    let answer = ask(&configuration, Ask { method, path, body, needs })?;
    output.print(&answer, || match command {
        Command::Events { .. } => {
            let lines: Vec<_> = list(&answer, "events").iter().map(Value::to_string).collect();
            if lines.is_empty() { "no events".to_owned() } else { lines.join("\n") }
        }
        Command::Schedules { .. } => {
            let rows: Vec<_> = list(&answer, "keys").iter().map(row).collect();
            if rows.is_empty() { "no keys".to_owned() } else { rows.join("\n") }
        }
        Command::Schedule(_) => {
            let warning =
                answer.get("warning").map(|_| format!("\nwarning: {}", member(&answer, "/warning")));
            let what = if member(&answer, "/scheduled") == "true" { "scheduled" } else { "no schedule" };
            format!("{what}{}", warning.unwrap_or_default())
        }
        Command::Rotate { .. }
        | Command::Activate(_)
        | Command::Retire(_)
        | Command::Disable(_)
        | Command::Enable(_)
        | Command::Destroy { .. }
        | Command::Restore(_) => {
            let done = ["/changed", "/created"].iter().any(|pointer| member(&answer, pointer) == "true");
            let warning =
                answer.get("warning").map(|_| format!("warning: {}\n", member(&answer, "/warning")));
            let head = if done { "done" } else { "it was so already" };
            format!("{}{head}\n{}", warning.unwrap_or_default(), details(&answer))
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
