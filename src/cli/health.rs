//! `avs-kms health`: whether the running service is ready, for supervisors and container engines.

use super::admin::local_socket::{LocalRequest, send_to_running};
use super::error::CliError;
use super::output::Output;
use crate::config::Configuration;

/// Fails when the service is not ready or does not answer.
pub(super) fn run(configuration: &Configuration, output: Output) -> Result<(), CliError> {
    let request = LocalRequest::get("/readyz".to_owned());
    let response = send_to_running(configuration, &request)?;
    output.print(&response, || "ready".to_owned());
    Ok(())
}
