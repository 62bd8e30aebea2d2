//! `avs-kms keys …`: list, show, create, policy; the life of a key is in `lifecycle`.

mod lifecycle;

use std::num::NonZeroU32;

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin::local_socket::{Ask, ask};
use super::error::Failed;
use super::output::Output;
use super::serve::open::Needs;
use crate::auth::{Networks, Signing};
use crate::config::Configuration;
use crate::key::{Eoa, KeyName};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List keys: of one EOA, or all.
    List {
        /// Whose keys.
        #[arg(long)]
        eoa: Option<Eoa>,
    },
    /// Show one key with all its versions.
    Show(Key),
    /// Make a key, or show the one that is there.
    Create(Create),
    /// Set what a key allows; what is left out is not restricted.
    Policy(SetPolicy),
    #[command(flatten)]
    Life(lifecycle::Command),
}

/// A policy to be set.
#[derive(Debug, Args)]
pub(super) struct SetPolicy {
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    policy: Policy,
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    binding: lifecycle::Binding,
}

/// What the key allows.
#[derive(Debug, Args)]
struct Policy {
    /// A kind of signing that it allows: point, digest, typed; repeat for more [default: all].
    #[arg(long = "allow", value_name = "KIND")]
    signing: Vec<Signing>,
    /// A network from which it is used, such as 10.1.0.0/16; repeat for more [default: all].
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<Networks>,
    /// How many signatures a minute, at most [default: no cap].
    #[arg(long, value_name = "NUMBER")]
    per_minute: Option<NonZeroU32>,
}

impl Policy {
    /// The member of the request; none where nothing was said.
    fn body(&self) -> Option<Value> {
        let said = !self.signing.is_empty() || !self.networks.is_empty() || self.per_minute.is_some();
        let kinds: Vec<_> = self.signing.iter().map(|kind| kind.as_str()).collect();
        let networks: Vec<_> =
            self.networks.iter().flat_map(Networks::iter).map(ToString::to_string).collect();
        said.then(|| {
            json!({
                "signing": (!kinds.is_empty()).then_some(kinds),
                "networks": networks,
                "per_minute": self.per_minute,
            })
        })
    }
}

#[derive(Debug, Clone, Args)]
pub(super) struct Key {
    /// The owner's address.
    #[arg(long)]
    eoa: Eoa,
    /// The name of the key.
    #[arg(long, default_value = "default")]
    name: KeyName,
}

pub(super) fn run(command: &Command, configuration: Configuration, output: Output) -> Result<(), Failed> {
    if let Command::Life(command) = command {
        return lifecycle::run(command, configuration, output);
    }
    let (method, path, body, needs) = match command {
        Command::List { eoa: None } => (Method::GET, "/local/keys".to_owned(), None, Needs::Books),
        Command::List { eoa: Some(eoa) } => (Method::GET, format!("/v1/keys/{eoa}"), None, Needs::Books),
        Command::Show(Key { eoa, name }) => {
            (Method::GET, format!("/v1/keys/{eoa}/{name}"), None, Needs::Books)
        }
        Command::Create(Create { key: Key { eoa, name }, policy, binding }) => {
            let mut body = json!({"eoa": eoa.to_string(), "name": name.as_str(), "policy": policy.body()});
            binding.put(&mut body);
            (Method::POST, "/v1/keys".to_owned(), Some(body), Needs::Token)
        }
        Command::Policy(SetPolicy { key: Key { eoa, name }, policy }) => {
            let policy = policy.body().unwrap_or_else(|| json!({}));
            let body = json!({"eoa": eoa.to_string(), "name": name.as_str(), "policy": policy});
            (Method::POST, "/local/keys/policy".to_owned(), Some(body), Needs::Books)
        }
        Command::Life(_) => return Ok(()),
    };
    let answer = ask(&configuration, Ask { method, path, body, needs })?;
    output.print(&answer, || match command {
        Command::List { .. } => {
            let rows: Vec<_> = list(&answer, "keys").iter().map(row).collect();
            if rows.is_empty() { "no keys".to_owned() } else { rows.join("\n") }
        }
        Command::Show(_) => {
            let versions: Vec<_> = list(&answer, "versions").iter().map(details).collect();
            versions.join("\n\n")
        }
        Command::Life(_) => String::new(),
        Command::Create { .. } => {
            let made = answer.get("created") == Some(&Value::Bool(true));
            format!("{}\n{}", if made { "created" } else { "was there already" }, details(&answer))
        }
        Command::Policy(_) => answer.get("policy").map(Value::to_string).unwrap_or_default(),
    });
    Ok(())
}

fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A member at a path, as people read it.
pub(super) fn member(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn row(key: &Value) -> String {
    let of = |pointer| member(key, pointer);
    format!(
        "{}  {:<24}  v{:<3} {:<17}  {}",
        of("/eoa"),
        of("/name"),
        of("/version"),
        of("/state"),
        of("/created_at")
    )
}

pub(super) fn details(key: &Value) -> String {
    let lines = [
        ("eoa", "/eoa"),
        ("name", "/name"),
        ("version", "/version"),
        ("state", "/state"),
        ("created", "/created_at"),
        ("operator id", "/operator_id"),
        ("g1.x", "/g1/x"),
        ("g1.y", "/g1/y"),
        ("g2.x[0]", "/g2/x/0"),
        ("g2.x[1]", "/g2/x/1"),
        ("g2.y[0]", "/g2/y/0"),
        ("g2.y[1]", "/g2/y/1"),
    ];
    let happened = [
        ("activated", "/activated_at"),
        ("retiring", "/retiring_at"),
        ("retired", "/retired_at"),
        ("destroy at", "/destroy_at"),
        ("destroyed", "/destroyed_at"),
        ("registry", "/binding/registry"),
        ("contract", "/binding/verifying_contract"),
        ("chain", "/binding/chain_id"),
        ("operator", "/binding/operator"),
        ("avs", "/binding/avs"),
        ("operator set", "/binding/operator_set_id"),
        ("registered", "/binding/registered"),
    ];
    let happened = happened.into_iter().filter(|(_, pointer)| key.pointer(pointer).is_some());
    let lines: Vec<_> = lines
        .into_iter()
        .chain(happened)
        .map(|(label, pointer)| format!("{label:<12} {}", member(key, pointer)))
        .collect();
    lines.join("\n")
}
