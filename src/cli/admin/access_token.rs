//! `avs-kms token issue|list|revoke`.

use std::time::Duration;

use axum::http::Method;
use clap::Subcommand;
use serde_json::{Value, json};

use super::local_socket::{Ask, ask};
use crate::auth::{Fingerprint, Networks, Scope, Subject, TokenId};
use crate::cli::error::Failed;
use crate::cli::keys::member;
use crate::cli::output::Output;
use crate::cli::serve::open::Needs;
use crate::config::Configuration;
use crate::key::KeyName;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Issue a token and print it, once.
    Issue {
        /// The EOA whose keys it is good for, or `*` for every EOA's.
        #[arg(long)]
        eoa: Subject,
        /// What it allows; repeat for more.
        #[arg(long = "scope", required = true, value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// How long it works: 12h, 30d; at most 90d.
        #[arg(long, default_value = "30d", value_parser = time)]
        ttl: Duration,
        /// A network from which it works, such as 10.1.0.0/16; repeat for more [default: this machine].
        #[arg(long = "network", value_name = "CIDR")]
        networks: Vec<Networks>,
        /// The one key it is for, by name; repeat for more [default: all of the EOA].
        #[arg(long = "key", value_name = "NAME")]
        keys: Vec<KeyName>,
        /// The client certificate without which it does not work: its SHA-256, as openssl shows it.
        #[arg(long, value_name = "FINGERPRINT")]
        client_certificate: Option<Fingerprint>,
    },
    /// List tokens; their text is not kept and cannot be shown.
    List,
    /// Revoke a token, or all of an EOA, at once.
    Revoke {
        /// Its id, tok_…
        #[arg(required_unless_present = "eoa", conflicts_with = "eoa")]
        id: Option<TokenId>,
        /// Every token of this EOA, or of `*`.
        #[arg(long)]
        eoa: Option<Subject>,
    },
}

/// A friendly duration in which a day has 24 hours.
pub(in crate::cli) fn time(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(relative).map_err(|error| error.to_string())?;
    duration.try_into().map_err(|_| "a token lives forwards in time".to_owned())
}

pub(in crate::cli) fn run(
    command: &Command,
    configuration: Configuration,
    output: Output,
) -> Result<(), Failed> {
    let (method, path, body) = match command {
        Command::Issue { eoa, scopes, ttl, networks, keys, client_certificate } => {
            let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
            let networks: Vec<_> =
                networks.iter().flat_map(Networks::iter).map(ToString::to_string).collect();
            let mut body = json!({
                "eoa": eoa.to_string(),
                "scopes": scopes,
                "ttl_seconds": ttl.as_secs(),
                "client_certificate": client_certificate.map(|it| it.to_string()),
                "keys": keys.iter().map(KeyName::as_str).collect::<Vec<_>>(),
            });
            if let Some(members) = body.as_object_mut().filter(|_| !networks.is_empty()) {
                members.insert("networks".to_owned(), networks.into());
            }
            (Method::POST, "/local/tokens", Some(body))
        }
        Command::List => (Method::GET, "/local/tokens", None),
        Command::Revoke { id, eoa } => {
            let (id, eoa) = (id.as_ref().map(TokenId::as_str), eoa.map(|eoa| eoa.to_string()));
            (Method::POST, "/local/tokens/revoke", Some(json!({"id": id, "eoa": eoa})))
        }
    };
    let answer = ask(&configuration, Ask { method, path: path.to_owned(), body, needs: Needs::Books })?;
    output.print(&answer, || match command {
        // Alone on standard output, so that TOKEN=$(avs-kms token issue …) works.
        Command::Issue { .. } => member(&answer, "/token"),
        Command::List | Command::Revoke { .. } => {
            let tokens = answer.get("tokens").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if tokens.is_empty() {
                return "no tokens".to_owned();
            }
            tokens.iter().map(row).collect::<Vec<_>>().join("\n")
        }
    });
    Ok(())
}

fn row(token: &Value) -> String {
    let scopes = token.get("scopes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let scopes: Vec<_> = scopes.iter().filter_map(Value::as_str).collect();
    let end = match token.get("revoked_at") {
        Some(Value::String(time)) => format!("revoked {time}"),
        _ => format!("expires {}", member(token, "/expires_at")),
    };
    let used = token.get("last_used_at").and_then(Value::as_str).unwrap_or("never");
    let (id, eoa, origin) = (member(token, "/id"), member(token, "/eoa"), member(token, "/origin"));
    format!("{id}  {eoa:<42}  {end}  used {used}  by {origin}  {}", scopes.join(" "))
}
