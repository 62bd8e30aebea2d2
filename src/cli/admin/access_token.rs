//! `avs-kms access-token issue|list|revoke`.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::local_socket::{LocalRequest, left_to_next_start, send, send_or_record};
use crate::auth::{AccessTokenId, CertificateFingerprint, Networks, Scope, Subject};
use crate::cli::error::CliError;
use crate::cli::output::{Output, list, member, rows};
use crate::cli::values::{lifetime, one_of};
use crate::config::Configuration;
use crate::key::KeyName;
use crate::service::TakeAway;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Issue an access token and print it; it cannot be shown again
    #[command(after_help = "\
Example:
  avs-kms access-token issue --eoa 0x… --scope keys:read,sign:typed --ttl 30d --network 10.1.0.0/16")]
    Issue {
        /// EOA whose keys it may use, or '*' for every EOA
        #[arg(long)]
        eoa: Subject,
        /// What it allows; separate several by commas. keys:destroy is refused: it takes a signed request
        #[arg(
            long = "scope",
            required = true,
            value_name = "SCOPE",
            value_delimiter = ',',
            value_parser = one_of::<Scope>(Scope::ALL.map(Scope::as_str)),
        )]
        scopes: Vec<Scope>,
        /// Lifetime, such as 12h or 30d; at most 90d
        #[arg(long, default_value = "30d", value_parser = lifetime)]
        ttl: Duration,
        /// Network from which it may be used, such as 10.1.0.0/16; separate several by commas
        /// [default: this host]
        #[arg(long = "network", value_name = "CIDR", value_delimiter = ',')]
        networks: Vec<Networks>,
        /// Key that it may use, by name; separate several by commas [default: every key of the EOA]
        #[arg(long = "key", value_name = "NAME", value_delimiter = ',')]
        keys: Vec<KeyName>,
        /// Client certificate that it needs: its SHA-256 fingerprint, as openssl prints it
        #[arg(long, value_name = "FINGERPRINT")]
        client_certificate: Option<CertificateFingerprint>,
    },
    /// List access tokens; the tokens themselves are not stored
    #[command(after_help = "Example:\n  avs-kms access-token list --json")]
    List,
    /// Revoke one access token, or all of an EOA; it takes effect at once
    ///
    /// While the service is stopped and the token is away, the next start carries it out before it signs anything.
    #[command(after_help = "\
Examples:
  avs-kms access-token revoke tok_0123456789ab
  avs-kms access-token revoke --eoa 0x…
  avs-kms access-token revoke --eoa '*'")]
    Revoke {
        /// Its id, tok_…
        #[arg(required_unless_present = "eoa", conflicts_with = "eoa")]
        id: Option<AccessTokenId>,
        /// Revoke every access token of this EOA; '*' revokes those that were issued for every EOA
        #[arg(long)]
        eoa: Option<Subject>,
    },
}

pub(in crate::cli) fn run(
    command: &Command,
    configuration: &Configuration,
    output: Output,
) -> Result<(), CliError> {
    let request = match command {
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
            LocalRequest::post("/local/access-tokens", body)
        }
        Command::List => LocalRequest::list("/local/access-tokens?limit=1000".to_owned(), "access_tokens"),
        Command::Revoke { id, eoa } => {
            let (id, eoa) = (id.as_ref().map(AccessTokenId::as_str), eoa.map(|eoa| eoa.to_string()));
            LocalRequest::post("/local/access-tokens/revoke", json!({"id": id, "eoa": eoa}))
        }
    };
    let take_away = match command {
        Command::Revoke { id: Some(id), .. } => Some(TakeAway::RevokeOne(id.clone())),
        Command::Revoke { eoa: Some(subject), .. } => Some(TakeAway::RevokeAllOf(*subject)),
        Command::Revoke { .. } | Command::Issue { .. } | Command::List => None,
    };
    let response = match take_away {
        Some(what) => send_or_record(configuration, request, (what, None))?,
        None => send(configuration, request)?,
    };
    output.print(&response, || match command {
        Command::Revoke { .. } if response.get("recorded").is_some() => {
            left_to_next_start(&response).unwrap_or_default()
        }
        // Nothing else on standard output, so that TOKEN=$(avs-kms access-token issue …) works.
        Command::Issue { .. } => member(&response, "/access_token"),
        Command::List | Command::Revoke { .. } => {
            rows(list(&response, "access_tokens"), "no access tokens", row)
        }
    });
    Ok(())
}

fn row(token: &Value) -> String {
    let scopes: Vec<_> = list(token, "scopes").iter().filter_map(Value::as_str).collect();
    let end = match token.get("revoked_at") {
        Some(Value::String(time)) => format!("revoked {time}"),
        _ => format!("expires {}", member(token, "/expires_at")),
    };
    let used = token.get("last_used_at").and_then(Value::as_str).unwrap_or("never");
    let (id, eoa, origin) = (member(token, "/id"), member(token, "/eoa"), member(token, "/origin"));
    format!("{id}  {eoa:<42}  {end}  used {used}  by {origin}  {}", scopes.join(" "))
}
