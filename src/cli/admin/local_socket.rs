//! Requests of commands: to the running service through its local socket, else to a service that is
//! opened in this process.
//!
//! Both answer through the same router, so a command is recorded like any request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use avs_kms_client::{Client, RetryPolicy};
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::pages::all_pages;
use crate::cli::error::CliError;
use crate::cli::output::say;
use crate::cli::serve::accepted::Accepted;
use crate::cli::serve::data_lock::DataLock;
use crate::cli::serve::limits;
use crate::cli::serve::open::environment::with_module_environment;
use crate::cli::serve::open::{Needs, Opened, open};
use crate::config::Configuration;
use crate::http::{LOGIN, local_router};
use crate::service::{LocalProcess, Maintenance, Peer, Services, TakeAway};

pub(in crate::cli) use super::local_request::LocalRequest;

/// Sends the request and returns the JSON of the response, or the service's own error.
pub(in crate::cli) fn send(configuration: &Configuration, request: LocalRequest) -> Result<Value, CliError> {
    send_needing(configuration, request, Needs::Token)
}

/// The same for what only takes away. While no service runs and the token cannot be opened, it is recorded, and the
/// next start carries it out before it signs anything.
pub(in crate::cli) fn send_or_record(
    configuration: &Configuration,
    request: LocalRequest,
    (what, reason): (TakeAway, Option<String>),
) -> Result<Value, CliError> {
    let error = match send(configuration, request) {
        Err(error) if error.is_of_token() => error,
        result => return result,
    };
    let _lock = DataLock::acquire(&configuration.data)?.map_err(|held| held.error(&configuration.data))?;
    let runtime = runtime()?;
    let Opened { services, .. } = open(configuration, Needs::Log, &Accepted::default(), &runtime)?;
    let recorded = runtime.block_on(async {
        let recorded = services.take_away_at_next_start(login(), what, reason).await;
        services.close().await.map_err(|error| CliError::context("cannot close the audit log", &error))?;
        recorded.map_err(|failure| CliError::new(failure.cause_or_message()))
    })?;
    say(&format!(
        "{}; no service runs, so nothing signs now. Audit record {recorded} says what to take away: the next start \
         does it before it signs anything. The store was not read: whether what you named exists is checked then",
        error.message()
    ));
    Ok(json!({"recorded": recorded, "applied": "at_next_start"}))
}

/// What is printed of a taking away that the next start carries out; none of one that was carried out.
pub(in crate::cli) fn left_to_next_start(response: &Value) -> Option<String> {
    let recorded = response.get("recorded")?.as_u64()?;
    Some(format!(
        "recorded as audit record {recorded}; the next start carries it out before it signs anything"
    ))
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::context("cannot start threads", &error))
}

fn send_needing(
    configuration: &Configuration,
    request: LocalRequest,
    needs: Needs,
) -> Result<Value, CliError> {
    let directory = &configuration.data.directory;
    if !directory.exists() {
        let missing = format!("the data directory {} does not exist", directory.display());
        return Err(CliError::new(missing).with_hint("create it with `avs-kms init`, or name it with --data"));
    }
    // The lock is taken after the process was replaced: a lock of the old process would be lost.
    if needs == Needs::Token {
        with_module_environment(configuration)?;
    }
    let lock = DataLock::acquire(&configuration.data)?;
    let runtime = runtime()?;
    match lock {
        Ok(_lock) => {
            let Opened { services, open_intents } =
                open(configuration, needs, &Accepted::default(), &runtime)?;
            runtime.block_on(in_process(configuration, services, open_intents, (request, needs)))
        }
        Err(held) => runtime.block_on(over_socket(configuration, &request)).map_err(|reply| match reply {
            Reply::Error(error) => error,
            Reply::NotRunning(error) => {
                let holder = held.error(&configuration.data);
                let what = format!("{}, but it does not answer on its socket", holder.message());
                CliError::context(what, &*error).with_hint("try again in a moment")
            }
        }),
    }
}

/// Records work on the files themselves. The work is done already: where it cannot be recorded, a
/// message on standard error says so.
pub(in crate::cli) fn note_files(configuration: &Configuration, work: Maintenance, path: &Path, count: u64) {
    let body = json!({"work": work.name(), "path": path.display().to_string(), "count": count});
    let note = LocalRequest::post("/local/maintenance", body);
    // A restore has no PIN yet, so neither token nor store can be opened.
    if let Err(error) = send_needing(configuration, note, Needs::Log) {
        say(&format!("done, but {} is not in the audit log: {}", work.name(), error.message()));
    }
}

/// Sends the request to the running service; nothing is opened in this process.
pub(in crate::cli) fn send_to_running(
    configuration: &Configuration,
    request: &LocalRequest,
) -> Result<Value, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::context("cannot start", &error))?;
    runtime.block_on(over_socket(configuration, request)).map_err(|reply| match reply {
        Reply::Error(error) => error,
        Reply::NotRunning(error) => {
            let socket = configuration.data.socket();
            CliError::context(format!("no service answers on {}", socket.display()), &*error)
        }
    })
}

async fn in_process(
    configuration: &Configuration,
    services: Services,
    open_intents: Vec<audit_log::OpenIntent>,
    (request, needs): (LocalRequest, Needs),
) -> Result<Value, CliError> {
    // How an interrupted creation ended is known only from the token.
    if needs == Needs::Token {
        services.recover(open_intents).await.map_err(|failure| CliError::new(failure.cause_or_message()))?;
    }
    let services = Arc::new(services);
    let app = limits::app(configuration, &services);
    let response = all_pages(&request, async |path| {
        let response = local_router(&app)
            .respond(http_request(&request, path)?, Peer::Local(LocalProcess::this()))
            .await;
        let status = response.status();
        let bytes = response.into_body().collect().await;
        bytes
            .map_err(|error| CliError::context("cannot read the response", &error))
            .and_then(|body| parse_response(status.is_success(), &body.to_bytes()))
    })
    .await;
    match services.close().await {
        Ok(_) => response,
        Err(error) => Err(CliError::context("cannot close the audit log", &error)),
    }
}

/// How the socket did not give a result.
enum Reply {
    Error(CliError),
    NotRunning(Box<dyn std::error::Error + Send + Sync>),
}

/// Attempts for a service that has just been started or is being stopped.
const RETRIES: RetryPolicy = RetryPolicy { max_retries: 4, max_elapsed: Duration::from_secs(2) };

async fn over_socket(configuration: &Configuration, request: &LocalRequest) -> Result<Value, Reply> {
    let socket = configuration.data.socket();
    let client =
        Client::local(&socket).map_err(|error| Reply::NotRunning(error.into()))?.with_retry_policy(RETRIES);
    let client = match login() {
        Some(login) => client.with_login(&login),
        None => client,
    };
    all_pages(request, async |path| {
        let response = match &request.body {
            Some(body) => client.post(path, body).await,
            None => client.get(path).await,
        };
        response.map_err(|error| match error.api_error() {
            Some(error) => Reply::Error(CliError::new(error.to_string())),
            None => Reply::NotRunning(error.into()),
        })
    })
    .await
}

/// Name of the user who logged in to this host, for the audit log: the one before `sudo`.
fn login() -> Option<String> {
    let name = |variable| std::env::var(variable).ok().filter(|name| !name.is_empty());
    ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(name)
}

fn http_request(request: &LocalRequest, path: &str) -> Result<Request<Body>, CliError> {
    let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
    let login = login().and_then(|login| HeaderValue::try_from(login).ok());
    let mut built = Request::builder();
    if let Some(login) = login {
        built = built.header(LOGIN, login);
    }
    built
        .method(request.method.clone())
        .uri(path)
        .header(header::HOST, "local")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(|error| CliError::context("cannot build the request", &error))
}

/// The JSON of a response, or the service's own error.
pub(in crate::cli) fn parse_response(success: bool, body: &[u8]) -> Result<Value, CliError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| CliError::context("the response is not JSON", &error))?;
    if success {
        return Ok(value);
    }
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("?");
    let field =
        value.get("field").and_then(Value::as_str).map(|field| format!("{field}: ")).unwrap_or_default();
    Err(CliError::new(format!("{field}{} ({}, {})", text("error"), text("code"), text("request_id"))))
}
