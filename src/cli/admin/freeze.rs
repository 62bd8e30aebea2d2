//! `avs-kms freeze | unfreeze`.

use clap::Args;
use serde_json::{Value, json};

use super::local_socket::{LocalRequest, left_to_next_start, send, send_or_record};
use crate::cli::error::CliError;
use crate::cli::output::{Output, member};
use crate::config::Configuration;
use crate::service::TakeAway;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Reason for the audit log
    #[arg(long)]
    reason: Option<String>,
}

/// Freezes the service, or ends it with `frozen` false.
pub(in crate::cli) fn run(
    frozen: bool,
    arguments: &Arguments,
    configuration: &Configuration,
    output: Output,
) -> Result<(), CliError> {
    let path = if frozen { "/local/freeze" } else { "/local/unfreeze" };
    let body = json!({"reason": arguments.reason});
    let request = LocalRequest::post(path, body);
    let response = if frozen {
        let reason = arguments.reason.clone();
        send_or_record(configuration, request, (TakeAway::Freeze { reason: reason.clone() }, reason))?
    } else {
        send(configuration, request)?
    };
    output.print(&response, || left_to_next_start(&response).unwrap_or_else(|| said(frozen, &response)));
    Ok(())
}

fn said(frozen: bool, response: &Value) -> String {
    let since = member(response, "/since");
    match (frozen, response.get("changed") == Some(&Value::Bool(true))) {
        (true, true) => {
            "frozen: nothing is signed and no key is made until `avs-kms unfreeze`, also after a restart"
                .to_owned()
        }
        (true, false) => format!("nothing changed: the service is frozen since {since}"),
        (false, true) => "the freeze has ended: keys sign again".to_owned(),
        (false, false) => "nothing changed: the service is not frozen".to_owned(),
    }
}
