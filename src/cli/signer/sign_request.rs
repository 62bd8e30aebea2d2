//! `avs-kms sign-request`: signs one request and prints the curl command that sends it. It sends
//! nothing itself.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::http::{Service, authorization};
use super::wallet::Wallet;
use crate::auth::MAX_PATH_BYTES;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::http::MAX_BODY_BYTES;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    #[value(name = "GET")]
    Get,
    #[value(name = "POST")]
    Post,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  avs-kms sign-request --installation ID --keystore operator.json --body '{\"eoa\":\"0x…\"}' /v1/keys")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    wallet: Wallet,
    /// HTTP method [default: POST with a body, GET without]
    #[arg(long, ignore_case = true)]
    method: Option<Method>,
    /// JSON body
    #[arg(long, conflicts_with = "body_file")]
    body: Option<String>,
    /// File with the body
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// Path with its query, such as /v1/keys
    path: String,
}

pub(in crate::cli) fn run(arguments: &Arguments, output: Output) -> Result<(), CliError> {
    hsm::harden_process().map_err(|error| CliError::context("cannot harden this process", &error))?;
    let path = arguments.path.as_str();
    if !path.starts_with('/') || path.len() > MAX_PATH_BYTES || !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(CliError::usage(format!(
            "the path must begin with / and have at most {MAX_PATH_BYTES} visible ASCII characters"
        )));
    }
    let body = match (&arguments.body, &arguments.body_file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(file)) => {
            let failed = |error| CliError::context(format!("cannot read {}", file.display()), &error);
            let mut text = String::new();
            let most = MAX_BODY_BYTES as u64 + 1;
            let opened = std::fs::File::open(file).map_err(failed)?;
            opened.take(most).read_to_string(&mut text).map_err(failed)?;
            Some(text)
        }
        (None, None) => None,
    };
    if body.as_ref().is_some_and(|body| body.len() > MAX_BODY_BYTES) {
        return Err(CliError::usage("the body is longer than 64 KiB"));
    }
    let method = arguments.method.unwrap_or(if body.is_some() { Method::Post } else { Method::Get });
    let method = if method == Method::Get { "GET" } else { "POST" };
    let audience = arguments.service.request_audience()?;
    let signer = arguments.wallet.open()?;
    let bytes = body.as_deref().unwrap_or_default().as_bytes();
    let authorization = authorization(&signer, &audience, method, path, bytes)?;
    let url = format!("{}{path}", arguments.service.url.trim_end_matches('/'));
    let mut line = format!("curl -sS -X {method} {}", quoted(&url));
    line += &format!(" -H {}", quoted(&format!("Authorization: {authorization}")));
    if let Some(body) = &body {
        line += &format!(" -H 'Content-Type: application/json' --data-binary {}", quoted(body));
    }
    let value =
        json!({"method": method, "url": url, "authorization": authorization, "body": body, "curl": line});
    output.print(&value, || line.clone());
    Ok(())
}

/// Quotes a text for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_quoted_text_is_one_word() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
    }
}
