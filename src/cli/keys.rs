//! `avs-kms keys …`: create, list and show keys. Their lifecycle is in `lifecycle`, what they allow in `policy`, rotation
//! schedules in `schedule`.

mod arguments;
mod lifecycle;
mod policy;
mod print;
mod schedule;

use clap::{Args, Subcommand};
use serde_json::Value;

use self::arguments::{Binding, KeyRef, put};
use self::policy::Policy;
use super::admin::local_socket::{LocalRequest, send};
use super::error::CliError;
use super::output::{Output, list, rows};
use super::values::one_of;
use crate::config::Configuration;
use crate::key::{Eoa, KeyState};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List keys: all, or those of one EOA
    #[command(after_help = "Example:\n  avs-kms keys list --eoa 0x… --state active")]
    List {
        /// Owner of the keys
        #[arg(long)]
        eoa: Option<Eoa>,
        /// Only versions in this state
        #[arg(long, value_parser = one_of::<KeyState>(KeyState::ALL.map(KeyState::as_str)))]
        state: Option<KeyState>,
    },
    /// Show one key with all its versions
    #[command(after_help = "Example:\n  avs-kms keys show --eoa 0x… --name default")]
    Show(KeyRef),
    /// Create a key; a key that exists is shown
    #[command(after_help = "Example:\n  avs-kms keys create --eoa 0x… --allow typed --per-minute 60")]
    Create(Create),
    /// Show, change and clear what a key allows
    #[command(subcommand)]
    Policy(policy::Command),
    #[command(flatten)]
    Lifecycle(lifecycle::Command),
    /// Rotate a key by a schedule
    #[command(subcommand)]
    Schedule(schedule::Command),
    /// Print what happened to keys, one JSON object per line
    #[command(after_help = "Example:\n  avs-kms keys events --after 120")]
    Events {
        /// Only events with a higher number
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    key: KeyRef,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    binding: Binding,
}

pub(super) fn run(command: &Command, configuration: &Configuration, output: Output) -> Result<(), CliError> {
    let request = match command {
        Command::Lifecycle(command) => return lifecycle::run(command, configuration, output),
        Command::Policy(command) => return policy::run(command, configuration, output),
        Command::Schedule(command) => return schedule::run(command, configuration, output),
        Command::List { eoa, state } => {
            let list = eoa.map_or("/local/keys".to_owned(), |eoa| format!("/v1/keys/{eoa}"));
            let state = state.map(|state| format!("&state={}", state.as_str())).unwrap_or_default();
            LocalRequest::list(format!("{list}?limit=1000{state}"), "keys")
        }
        Command::Show(KeyRef { eoa, name }) => {
            LocalRequest::list(format!("/v1/keys/{eoa}/{name}?limit=1000"), "versions")
        }
        Command::Events { after } => {
            LocalRequest::list(format!("/v1/events?limit=1000&after={after}"), "events")
        }
        Command::Create(Create { key, policy, binding }) => {
            let mut body = key.body();
            put(&mut body, "policy", policy.body());
            binding.put(&mut body);
            LocalRequest::post("/v1/keys", body)
        }
    };
    let response = send(configuration, request)?;
    output.print(&response, || match command {
        Command::List { .. } => rows(list(&response, "keys"), "no keys", print::row),
        Command::Show(_) => {
            let versions: Vec<_> = list(&response, "versions").iter().map(print::details).collect();
            format!("{}\n\n{}", policy::text(&response), versions.join("\n\n"))
        }
        Command::Create { .. } => {
            let created = response.get("created") == Some(&Value::Bool(true));
            let what = if created { "created" } else { "the key existed already" };
            format!("{what}\n{}", print::details(&response))
        }
        Command::Events { .. } => rows(list(&response, "events"), "no events", Value::to_string),
        Command::Lifecycle(_) | Command::Policy(_) | Command::Schedule(_) => String::new(),
    });
    Ok(())
}
