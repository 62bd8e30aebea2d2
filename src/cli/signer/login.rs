//! `avs-kms login`: challenge, signature, token. A client: it needs no data directory and no configuration.
//!
//! Nothing is signed that was not understood: the challenge is made anew here from what it says, and must come out
//! letter for letter.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::http::{Service, authorization};
use super::wallet::{Signer, Wallet};
use crate::auth::{Audience, Challenge, Scope, Scopes, SignIn};
use crate::cli::admin::{access_token, local_socket};
use crate::cli::error::Failed;
use crate::cli::keys::member;
use crate::cli::output::Output;
use crate::outbound::Outbound;

/// How long the service may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    wallet: Wallet,
    /// What the token shall allow; repeat for more [default: what the service gives].
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// How long it shall work: 5m, 1h [default: what the service gives].
    #[arg(long, value_parser = access_token::time)]
    ttl: Option<Duration>,
    /// The chain that the service must name (EIP-155).
    #[arg(long)]
    chain_id: Option<u64>,
    /// Show and sign the EIP-712 object instead of the EIP-4361 text.
    #[arg(long)]
    typed_data: bool,
    /// Write the token to this file, mode 0600, instead of printing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Send to a service beyond this machine without TLS: everybody on the way can take the token.
    #[arg(long)]
    plain_http: bool,
}

pub(in crate::cli) fn run(arguments: &Arguments, output: Output) -> Result<(), Failed> {
    hsm::harden_process().map_err(|error| Failed::while_trying("cannot harden this process", &error))?;
    let reached = arguments.service.reached(arguments.plain_http)?;
    let signer = arguments.wallet.open()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::while_trying("cannot start threads", &error))?;
    let answer = runtime.block_on(log_in(arguments, &reached, &signer))?;
    let told = json!({
        "eoa": answer.get("eoa"),
        "scopes": answer.get("scopes"),
        "expires_at": answer.get("expires_at"),
        "file": arguments.out,
    });
    match &arguments.out {
        None => output.print(&answer, || member(&answer, "/token")),
        Some(path) => {
            store(path, &member(&answer, "/token"))?;
            output.print(&told, || {
                format!("token in {}, until {}", path.display(), member(&answer, "/expires_at"))
            });
        }
    }
    Ok(())
}

async fn log_in(arguments: &Arguments, reached: &Audience, signer: &Signer) -> Result<Value, Failed> {
    let client = Outbound::new(PATIENCE).map_err(|error| Failed::while_trying("cannot call", &error))?;
    let scopes: Vec<_> = arguments.scopes.iter().map(|scope| scope.as_str()).collect();
    let ask = json!({
        "eoa": signer.eoa().to_string(),
        "scopes": (!scopes.is_empty()).then_some(scopes),
        "ttl_seconds": arguments.ttl.map(|ttl| ttl.as_secs()),
    });
    let body = ask.to_string().into_bytes();
    let path = "/v1/auth/challenge";
    let mut headers = Vec::new();
    // Asking for this right is grave: the wish is signed, too.
    if arguments.scopes.contains(&Scope::KeysDestroy) {
        let audience = arguments.service.audience(0)?;
        headers.push(("authorization", authorization(signer, &audience, "POST", path, &body)?));
    }
    let offered = post(&client, reached, path, &headers, body).await?;
    let challenge = understood(arguments, signer, &offered)?;
    let audience = arguments.service.audience(challenge.1)?;
    let challenge = challenge.0;
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

/// The challenge and its chain, if it is exactly what was asked for.
fn understood(arguments: &Arguments, signer: &Signer, offered: &Value) -> Result<(Challenge, u64), Failed> {
    let refuse = |what: &str| Failed::new(format!("the service's challenge {what}; it was not signed"));
    let text = offered.get("message").and_then(Value::as_str).unwrap_or_default();
    let sign_in: SignIn = text.parse().map_err(|_| refuse("is not an EIP-4361 message"))?;
    let audience = arguments.service.audience(sign_in.chain_id)?;
    if sign_in.uri != audience.uri() || sign_in.domain != audience.domain() {
        return Err(refuse(&format!("is for {}, not for {} (see --audience)", sign_in.uri, audience.uri())));
    }
    if arguments.chain_id.is_some_and(|wanted| wanted != sign_in.chain_id) {
        return Err(refuse(&format!("is for chain {}", sign_in.chain_id)));
    }
    let now = Timestamp::now().as_second();
    if (sign_in.issued_at.as_second() - now).abs() > 300 {
        return Err(refuse("was made at another time than now"));
    }
    let resources = sign_in.resources.iter();
    let scopes: Option<Scopes> = resources
        .map(|resource| resource.strip_prefix(crate::auth::SCOPE_URN)?.parse::<Scope>().ok())
        .collect();
    let scopes = scopes.ok_or_else(|| refuse("asks for something that is no scope"))?;
    let asked: Scopes = arguments.scopes.iter().copied().collect();
    if !asked.is_empty() && scopes != asked {
        return Err(refuse("asks for other scopes than you did"));
    }
    let life = offered.get("ttl_seconds").and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
    let mut nonce = [0; 32];
    let digits = sign_in.nonce.strip_prefix("0x").unwrap_or_default();
    hex::decode_to_slice(digits, &mut nonce).map_err(|_| refuse("has no nonce"))?;
    let challenge = Challenge {
        eoa: signer.eoa(),
        scopes,
        life: life.ok_or_else(|| refuse("does not say how long the token works"))?,
        issued_at: sign_in.issued_at,
        nonce,
    };
    if arguments.ttl.is_some_and(|ttl| ttl.as_secs() != u64::from(challenge.life)) {
        return Err(refuse("is for another lifetime than you asked for"));
    }
    if challenge.message(&audience) != text {
        return Err(refuse("says more or less than a login"));
    }
    Ok((challenge, sign_in.chain_id))
}

async fn post(
    client: &Outbound,
    reached: &Audience,
    path: &str,
    headers: &[(&str, String)],
    body: Vec<u8>,
) -> Result<Value, Failed> {
    let url = format!("{}{path}", reached.uri());
    let endpoint = url.parse().map_err(|error| Failed::usage(format!("{url}: {error}")))?;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let reply = client.post_json(&endpoint, &headers, body).await;
    let reply = reply.map_err(|error| Failed::while_trying("cannot log in", &error))?;
    let success = reply.is_success();
    local_socket::understood(success, &Zeroizing::new(reply.body))
}

/// Whole or not at all, and for its owner alone.
fn store(path: &Path, token: &str) -> Result<(), Failed> {
    let aside = path.with_extension("new");
    let write = || {
        // What an interrupted login left.
        let _ = std::fs::remove_file(&aside);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&aside)?;
        writeln!(file, "{token}")?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    };
    write().map_err(|error| Failed::while_trying(format!("cannot write {}", path.display()), &error))
}
