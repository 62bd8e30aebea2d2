//! How a command reaches the service: the running one through its socket, else one opened in this process.
//!
//! Both answer the same requests through the same router, so a command is recorded like any request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use avs_kms_client::{Client, RetryPolicy};
use axum::body::Body;
use axum::http::{Method, Request, header};
use axum::{Extension, Router};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::cli::error::Failed;
use crate::cli::serve::data_lock::DataLock;
use crate::cli::serve::limits;
use crate::cli::serve::open::{Needs, Opened, open, with_softhsm_environment};
use crate::config::Configuration;
use crate::http::{App, local_router};
use crate::service::{FileWork, Peer};

/// A request of the command line.
pub(in crate::cli) struct Ask {
    pub(in crate::cli) method: Method,
    pub(in crate::cli) path: String,
    pub(in crate::cli) body: Option<Value>,
    pub(in crate::cli) needs: Needs,
}

/// Sends the request and gives the answer's JSON, or the service's own sentence.
pub(in crate::cli) fn ask(configuration: &Configuration, ask: Ask) -> Result<Value, Failed> {
    if !configuration.data.directory.exists() {
        return Err(Failed::new(format!(
            "there is no data directory {}; `avs-kms init` makes one",
            configuration.data.directory.display()
        )));
    }
    // The lock is taken only after the process was replaced: it would be lost with the old one.
    if ask.needs == Needs::Token {
        with_softhsm_environment(configuration)?;
    }
    let lock = DataLock::acquire(&configuration.data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failed::while_trying("cannot start threads", &error))?;
    match lock {
        Ok(_lock) => {
            let Opened { service, open_intents } = open(configuration, ask.needs)?;
            runtime.block_on(in_process(configuration, service, open_intents, ask))
        }
        Err(held) => runtime.block_on(over_socket(configuration, &ask)).map_err(|failed| match failed {
            Reached::Answered(failed) => failed,
            Reached::Nobody(error) => {
                let holder = held.failed(&configuration.data).sentence;
                Failed::while_trying(format!("{holder}, but its socket does not answer; try again"), &*error)
            }
        }),
    }
}

/// Records what was done to the files themselves. What was done is done: where it cannot be recorded, that is said.
#[expect(clippy::print_stderr, reason = "the answer goes to stdout, and programs read it")]
pub(in crate::cli) fn note_files(configuration: &Configuration, work: FileWork, path: &Path, count: u64) {
    let body = json!({"work": work.name(), "path": path.display().to_string(), "count": count});
    let (method, path) = (Method::POST, "/local/files".to_owned());
    let note = Ask { method, path, body: Some(body), needs: Needs::Books };
    if let Err(failed) = ask(configuration, note) {
        eprintln!("avs-kms: {} is not in the audit log: {}", work.name(), failed.sentence);
    }
}

/// Asks the service that runs; nothing is opened here.
pub(in crate::cli) fn ask_running(configuration: &Configuration, ask: &Ask) -> Result<Value, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::while_trying("cannot start", &error))?;
    runtime.block_on(over_socket(configuration, ask)).map_err(|failed| match failed {
        Reached::Answered(failed) => failed,
        Reached::Nobody(error) => Failed::while_trying("no service answers", &*error),
    })
}

async fn in_process(
    configuration: &Configuration,
    service: crate::service::Service,
    open_intents: Vec<audit_log::OpenIntent>,
    ask: Ask,
) -> Result<Value, Failed> {
    // Only with the token at hand can it be known how an interrupted creation ended.
    if ask.needs == Needs::Token {
        service.recover(open_intents).await.map_err(|failure| Failed::new(failure.to_string()))?;
    }
    let service = Arc::new(service);
    let app =
        App::new(Arc::clone(&service), configuration.server.body_timeout, limits::reloadable(configuration));
    let router: Router = local_router(app).layer(Extension(Peer::Local));
    let response = match router.oneshot(request(&ask)?).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let status = response.status();
    let bytes = response.into_body().collect().await;
    let answer = bytes
        .map_err(|error| Failed::while_trying("cannot read the answer", &error))
        .and_then(|body| understood(status.is_success(), &body.to_bytes()));
    let closing = Arc::clone(&service);
    let closed = tokio::task::spawn_blocking(move || closing.close());
    match closed.await {
        Ok(Ok(_)) => answer,
        Ok(Err(error)) => Err(Failed::while_trying("cannot close the audit log", &error)),
        Err(error) => Err(Failed::while_trying("cannot close the service", &error)),
    }
}

/// Whether anybody answered.
enum Reached {
    Answered(Failed),
    Nobody(Box<dyn std::error::Error + Send + Sync>),
}

/// A service that has just been started or stopped gets this long to answer.
const PATIENCE: RetryPolicy = RetryPolicy { max_retries: 4, max_elapsed: Duration::from_secs(2) };

async fn over_socket(configuration: &Configuration, ask: &Ask) -> Result<Value, Reached> {
    let socket = configuration.data.socket();
    let client =
        Client::local(&socket).map_err(|error| Reached::Nobody(error.into()))?.with_retry_policy(PATIENCE);
    let answer = match &ask.body {
        Some(body) => client.post(&ask.path, body).await,
        None => client.get(&ask.path).await,
    };
    answer.map_err(|error| match error.api_error() {
        Some(refusal) => Reached::Answered(Failed::new(refusal.to_string())),
        None => Reached::Nobody(error.into()),
    })
}

fn request(ask: &Ask) -> Result<Request<Body>, Failed> {
    let body = ask.body.as_ref().map(Value::to_string).unwrap_or_default();
    Request::builder()
        .method(ask.method.clone())
        .uri(&ask.path)
        .header(header::HOST, "local")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(|error| Failed::while_trying("cannot make the request", &error))
}

/// The answer's JSON, or the service's own sentence.
pub(in crate::cli) fn understood(success: bool, body: &[u8]) -> Result<Value, Failed> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Failed::while_trying("the answer is not JSON", &error))?;
    if success {
        return Ok(value);
    }
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    Err(Failed::new(format!("{} ({}, {})", text("error"), text("code"), text("request_id"))))
}
