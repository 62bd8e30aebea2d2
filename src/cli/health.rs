//! `avs-kms health`: whether the running service is ready, for supervisors and container engines.

use axum::http::Method;

use super::admin::local_socket::{Ask, ask_running};
use super::error::Failed;
use super::output::Output;
use super::serve::open::Needs;
use crate::config::Configuration;

/// Exit status 0 when ready, 1 when not or when nobody answers.
pub(super) fn run(configuration: &Configuration, output: Output) -> Result<(), Failed> {
    let ask = Ask { method: Method::GET, path: "/readyz".to_owned(), body: None, needs: Needs::Books };
    let answer = ask_running(configuration, &ask)?;
    output.print(&answer, || "ready".to_owned());
    Ok(())
}
