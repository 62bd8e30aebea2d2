//! `avs-kms keys policy show|set|clear`: what a key allows, whatever the caller may do.

use std::num::NonZeroU32;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};

use super::arguments::{KeyRef, put};
use crate::auth::{Networks, SignatureKind};
use crate::cli::admin::local_socket::{LocalRequest, send};
use crate::cli::error::CliError;
use crate::cli::output::{Output, confirm, list, member};
use crate::cli::values::one_of;
use crate::config::Configuration;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Show what a key allows
    #[command(after_help = "Example:\n  avs-kms keys policy show --eoa 0x… --name default")]
    Show(KeyRef),
    /// Change what a key allows; what you do not name stays as it is
    #[command(after_help = "\
Example:
  avs-kms keys policy set --eoa 0x… --allow typed --network 10.1.0.0/16 --per-minute 60")]
    Set(Set),
    /// Remove every restriction: all kinds of signature, from every network, without a limit
    #[command(after_help = "Example:\n  avs-kms keys policy clear --eoa 0x… --name default")]
    Clear {
        #[command(flatten)]
        key: KeyRef,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// What a new key allows.
#[derive(Debug, Args)]
pub(super) struct Policy {
    #[command(flatten)]
    restrictions: Restrictions,
    /// Signatures per minute at most [default: no limit]
    #[arg(long, value_name = "NUMBER")]
    per_minute: Option<NonZeroU32>,
}

/// The restrictions that are lists.
#[derive(Debug, Args)]
struct Restrictions {
    /// Kind of signature that the key allows; separate several by commas [default of a new key: all]
    #[arg(
        long = "allow",
        value_name = "KIND",
        value_delimiter = ',',
        value_parser = one_of::<SignatureKind>(SignatureKind::ALL.map(SignatureKind::as_str)),
    )]
    signing: Vec<SignatureKind>,
    /// Network from which the key may be used, such as 10.1.0.0/16; separate several by commas
    /// [default of a new key: all]
    #[arg(long = "network", value_name = "CIDR", value_delimiter = ',')]
    networks: Vec<Networks>,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true).args(["signing", "networks", "per_minute"])))]
pub(in crate::cli) struct Set {
    #[command(flatten)]
    key: KeyRef,
    #[command(flatten)]
    restrictions: Restrictions,
    /// Signatures per minute at most; 0 removes the limit
    #[arg(long, value_name = "NUMBER")]
    per_minute: Option<u32>,
}

impl Restrictions {
    fn body(&self) -> Value {
        let kinds: Vec<_> = self.signing.iter().map(|kind| kind.as_str()).collect();
        let networks: Vec<_> =
            self.networks.iter().flat_map(Networks::iter).map(ToString::to_string).collect();
        let mut body = json!({});
        put(&mut body, "signing", (!kinds.is_empty()).then_some(kinds));
        put(&mut body, "networks", (!networks.is_empty()).then_some(networks));
        body
    }
}

impl Policy {
    /// The member of the request; none where no option was given.
    pub(super) fn body(&self) -> Option<Value> {
        let mut body = self.restrictions.body();
        put(&mut body, "per_minute", self.per_minute.map(NonZeroU32::get));
        body.as_object().is_some_and(|members| !members.is_empty()).then_some(body)
    }
}

pub(super) fn run(command: &Command, configuration: &Configuration, output: Output) -> Result<(), CliError> {
    let change = |key: &KeyRef, policy: Value| {
        let mut body = key.body();
        put(&mut body, "policy", Some(policy));
        LocalRequest::post("/local/keys/policy", body)
    };
    let request = match command {
        Command::Show(key) => {
            let (eoa, name) = key.owner_and_name();
            LocalRequest::get(format!("/v1/keys/{eoa}/{name}?limit=1"))
        }
        Command::Set(Set { key, restrictions, per_minute }) => {
            let mut policy = restrictions.body();
            put(&mut policy, "per_minute", *per_minute);
            change(key, policy)
        }
        Command::Clear { key, yes } => {
            let (eoa, name) = key.owner_and_name();
            let question = format!(
                "clear removes every restriction of the key {name} of {eoa}: all kinds of signature, every network, no \
                 limit. Is that what you want?"
            );
            confirm(&question, *yes)?;
            let kinds = SignatureKind::ALL.map(SignatureKind::as_str);
            change(key, json!({"signing": kinds, "networks": [], "per_minute": 0}))
        }
    };
    let response = send(configuration, request)?;
    let policy = json!({"policy": response.get("policy")});
    output.print(&policy, || text(&policy));
    Ok(())
}

/// The member `policy` of a response, for people.
pub(super) fn text(response: &Value) -> String {
    let words = |name: &str| {
        let policy = response.get("policy").unwrap_or(&Value::Null);
        list(policy, name).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    let networks = Some(words("networks")).filter(|networks| !networks.is_empty());
    let per_minute = Some(member(response, "/policy/per_minute")).filter(|number| number != "-");
    format!(
        "{:<12} {}\n{:<12} {}\n{:<12} {}",
        "allows",
        words("signing"),
        "networks",
        networks.unwrap_or_else(|| "all".to_owned()),
        "per minute",
        per_minute.unwrap_or_else(|| "no limit".to_owned()),
    )
}
