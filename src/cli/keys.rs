//! `avs-kms keys …`: create, list and show keys, and set policies. Their lifecycle is in `lifecycle`,
//! rotation schedules are in `schedule`.

mod arguments;
mod lifecycle;
mod print;
mod schedule;

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::arguments::{Binding, KeyRef, put};
use super::admin::local_socket::{LocalRequest, send};
use super::error::CliError;
use super::output::{Output, list, rows};
use super::values::one_of;
use crate::auth::{Networks, SignatureKind};
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
    /// Replace the whole policy of a key; an omitted option removes its restriction
    #[command(after_help = "\
Example:
  avs-kms keys policy --eoa 0x… --allow typed --network 10.1.0.0/16 --per-minute 60")]
    Policy(SetPolicy),
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
pub(super) struct SetPolicy {
    #[command(flatten)]
    key: KeyRef,
    #[command(flatten)]
    policy: Policy,
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

/// What a key allows.
#[derive(Debug, Args)]
struct Policy {
    /// Kind of signature that it allows; separate several by commas [default: all]
    #[arg(
        long = "allow",
        value_name = "KIND",
        value_delimiter = ',',
        value_parser = one_of::<SignatureKind>(SignatureKind::ALL.map(SignatureKind::as_str)),
    )]
    signing: Vec<SignatureKind>,
    /// Network from which it may be used, such as 10.1.0.0/16; separate several by commas
    /// [default: all]
    #[arg(long = "network", value_name = "CIDR", value_delimiter = ',')]
    networks: Vec<Networks>,
    /// Signatures per minute at most [default: no limit]
    #[arg(long, value_name = "NUMBER")]
    per_minute: Option<NonZeroU32>,
}

impl Policy {
    /// The member of the request; none where no option was given.
    fn body(&self) -> Option<Value> {
        let given = !self.signing.is_empty() || !self.networks.is_empty() || self.per_minute.is_some();
        let kinds: Vec<_> = self.signing.iter().map(|kind| kind.as_str()).collect();
        let networks: Vec<_> =
            self.networks.iter().flat_map(Networks::iter).map(ToString::to_string).collect();
        given.then(|| {
            json!({
                "signing": (!kinds.is_empty()).then_some(kinds),
                "networks": networks,
                "per_minute": self.per_minute,
            })
        })
    }
}

pub(super) fn run(command: &Command, configuration: &Configuration, output: Output) -> Result<(), CliError> {
    let request = match command {
        Command::Lifecycle(command) => return lifecycle::run(command, configuration, output),
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
        Command::Policy(SetPolicy { key, policy }) => {
            let mut body = key.body();
            put(&mut body, "policy", Some(policy.body().unwrap_or_else(|| json!({}))));
            LocalRequest::post("/local/keys/policy", body)
        }
    };
    let response = send(configuration, request)?;
    output.print(&response, || match command {
        Command::List { .. } => rows(list(&response, "keys"), "no keys", print::row),
        Command::Show(_) => {
            let versions: Vec<_> = list(&response, "versions").iter().map(print::details).collect();
            versions.join("\n\n")
        }
        Command::Create { .. } => {
            let created = response.get("created") == Some(&Value::Bool(true));
            let what = if created { "created" } else { "the key existed already" };
            format!("{what}\n{}", print::details(&response))
        }
        Command::Policy(_) => response.get("policy").map(Value::to_string).unwrap_or_default(),
        Command::Events { .. } => rows(list(&response, "events"), "no events", Value::to_string),
        Command::Lifecycle(_) | Command::Schedule(_) => String::new(),
    });
    Ok(())
}
