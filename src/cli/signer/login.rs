//! `avs-kms login`: challenge, signature, access token.
//!
//! Signs only what it understands: it builds the challenge again from the fields, and the text must be
//! the same byte for byte.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Clock;
use clap::Args;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::http::{Service, authorization};
use super::wallet::{Signer, Wallet};
use crate::auth::{Audience, Challenge, InstallationId, Scope, Scopes, SignIn};
use crate::cli::admin::local_socket::parse_response;
use crate::cli::error::CliError;
use crate::cli::output::{Output, member};
use crate::cli::values::{lifetime, one_of};
use crate::outbound::Outbound;

/// Longest time of one call.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  avs-kms login --url https://kms.example --keystore operator.json --scope keys:read,sign:typed")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    wallet: Wallet,
    /// What the access token allows; separate several by commas [default: the service decides]
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        value_delimiter = ',',
        value_parser = one_of::<Scope>(Scope::ALL.map(Scope::as_str)),
    )]
    scopes: Vec<Scope>,
    /// Lifetime, such as 5m or 1h [default: the service decides]
    #[arg(long, value_parser = lifetime)]
    ttl: Option<Duration>,
    /// Chain id that the service must name (EIP-155)
    #[arg(long)]
    chain_id: Option<u64>,
    /// Sign the EIP-712 object instead of the EIP-4361 text
    #[arg(long)]
    typed_data: bool,
    /// Write the access token to this file, mode 0600, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Send to another machine without TLS; the network in between can read the access token
    #[arg(long)]
    plain_http: bool,
}

pub(in crate::cli) fn run(arguments: &Arguments, output: Output) -> Result<(), CliError> {
    hsm::harden_process().map_err(|error| CliError::context("cannot harden this process", &error))?;
    let reached = arguments.service.reached(arguments.plain_http)?;
    let signer = arguments.wallet.open()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::context("cannot start threads", &error))?;
    let answer = runtime.block_on(log_in(arguments, &reached, &signer))?;
    let printed = json!({
        "eoa": answer.get("eoa"),
        "scopes": answer.get("scopes"),
        "expires_at": answer.get("expires_at"),
        "file": arguments.out,
    });
    match &arguments.out {
        None => output.print(&answer, || member(&answer, "/access_token")),
        Some(path) => {
            store(path, &member(&answer, "/access_token"))?;
            output.print(&printed, || {
                format!(
                    "the access token is in {}, valid until {}",
                    path.display(),
                    member(&answer, "/expires_at")
                )
            });
        }
    }
    Ok(())
}

async fn log_in(arguments: &Arguments, reached: &Audience, signer: &Signer) -> Result<Value, CliError> {
    let client =
        Outbound::new(TIMEOUT).map_err(|error| CliError::context("cannot make HTTP calls", &error))?;
    let scopes: Vec<_> = arguments.scopes.iter().map(|scope| scope.as_str()).collect();
    let wanted = json!({
        "eoa": signer.eoa().to_string(),
        "scopes": (!scopes.is_empty()).then_some(scopes),
        "ttl_seconds": arguments.ttl.map(|ttl| ttl.as_secs()),
    });
    let body = wanted.to_string().into_bytes();
    let path = "/v1/auth/challenge";
    let mut headers = Vec::new();
    // The service accepts this scope in a signed request only.
    if arguments.scopes.contains(&Scope::KeysDestroy) {
        let audience = arguments.service.request_audience()?;
        headers.push(("authorization", authorization(signer, &audience, "POST", path, &body)?));
    }
    let offered = post(&client, reached, path, &headers, body).await?;
    let (challenge, audience) = check_challenge(arguments, signer, &offered)?;
    let [(_, personal), (_, typed)] = challenge.digests(&audience);
    let signature = if arguments.typed_data {
        let object = challenge.typed_data(&audience).to_string();
        signer.sign(&typed, &object, "eth_signTypedData_v4, cast wallet sign --data")?
    } else {
        signer.sign(&personal, &challenge.message(&audience), "personal_sign, cast wallet sign")?
    };
    let id = member(&offered, "/challenge_id");
    let body = json!({"challenge_id": id, "signature": signature}).to_string().into_bytes();
    post(&client, reached, "/v1/auth/verify", &[], body).await
}

/// The challenge and whom it is for, if it is exactly what was requested.
fn check_challenge(
    arguments: &Arguments,
    signer: &Signer,
    offered: &Value,
) -> Result<(Challenge, Audience), CliError> {
    let refuse = |what: &str| CliError::new(format!("the service's challenge {what}; nothing was signed"));
    let text = offered.get("message").and_then(Value::as_str).unwrap_or_default();
    let sign_in: SignIn = text.parse().map_err(|_| refuse("is not an EIP-4361 message"))?;
    let installation = offered.get("installation").and_then(Value::as_str).unwrap_or_default();
    let installation: InstallationId = installation.parse().map_err(|_| refuse("names no installation"))?;
    if arguments.service.installation.is_some_and(|wanted| wanted != installation) {
        return Err(refuse(&format!("is for installation {installation}")));
    }
    let audience = arguments.service.audience(sign_in.chain_id, installation)?;
    if sign_in.uri != audience.uri() || sign_in.domain != audience.domain() {
        return Err(refuse(&format!("is for {}, not for {} (see --audience)", sign_in.uri, audience.uri())));
    }
    if arguments.chain_id.is_some_and(|wanted| wanted != sign_in.chain_id) {
        return Err(refuse(&format!("is for chain {}", sign_in.chain_id)));
    }
    let now = Clock::system().now().as_second();
    if (sign_in.issued_at.as_second() - now).abs() > 300 {
        return Err(refuse("was not issued within the last 5 minutes"));
    }
    let resources = sign_in.resources.iter();
    let scopes: Option<Scopes> = resources
        .map(|resource| resource.strip_prefix(crate::auth::SCOPE_URN)?.parse::<Scope>().ok())
        .collect();
    let scopes = scopes.ok_or_else(|| refuse("names an unknown scope"))?;
    let requested: Scopes = arguments.scopes.iter().copied().collect();
    if !requested.is_empty() && scopes != requested {
        return Err(refuse("names other scopes than you requested"));
    }
    let life = offered.get("ttl_seconds").and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
    let mut nonce = [0; 32];
    let digits = sign_in.nonce.strip_prefix("0x").unwrap_or_default();
    hex::decode_to_slice(digits, &mut nonce).map_err(|_| refuse("has no nonce"))?;
    let challenge = Challenge {
        eoa: signer.eoa(),
        scopes,
        life: life.ok_or_else(|| refuse("names no lifetime"))?,
        issued_at: sign_in.issued_at,
        nonce,
    };
    if arguments.ttl.is_some_and(|ttl| ttl.as_secs() != u64::from(challenge.life)) {
        return Err(refuse("names another lifetime than you requested"));
    }
    if challenge.message(&audience) != text {
        return Err(refuse("is not the text of a login"));
    }
    Ok((challenge, audience))
}

async fn post(
    client: &Outbound,
    reached: &Audience,
    path: &str,
    headers: &[(&str, String)],
    body: Vec<u8>,
) -> Result<Value, CliError> {
    let url = format!("{}{path}", reached.uri());
    let endpoint = url.parse().map_err(|error| CliError::usage(format!("{url}: {error}")))?;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let reply = client.post_json(&endpoint, &headers, body).await;
    let reply = reply.map_err(|error| CliError::context("cannot log in", &error))?;
    let success = reply.is_success();
    parse_response(success, &Zeroizing::new(reply.body))
}

/// Writes the file completely or not at all, readable by its owner only.
fn store(path: &Path, token: &str) -> Result<(), CliError> {
    let line = Zeroizing::new(format!("{token}\n"));
    trusted_files::write_atomically(path, line.as_bytes(), 0o600)
        .map_err(|error| CliError::context(format!("cannot write {}", path.display()), &error))
}
