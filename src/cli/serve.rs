//! `avs-kms serve`: starts the service, runs it until a signal, and stops it in order.

pub(super) mod accepted;
mod background;
pub(super) mod data_lock;
pub(super) mod limits;
mod listeners;
mod logging;
pub(super) mod open;
mod reload;
pub(super) mod sandbox;
mod signals;
pub(super) mod stamps;
mod start_report;
#[cfg(feature = "otlp")]
mod telemetry;
mod tls;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::accepted::Accepted;
use self::data_lock::DataLock;
use self::listeners::{Sockets, into_tokio, local_socket};
use self::logging::Logging;
use self::open::environment::with_module_environment;
use self::open::{Needs, Opened, open};
use self::reload::Reloadable;
use self::sandbox::sandbox;
use self::signals::Signals;
use self::start_report::{frozen, next_steps, report};
use super::error::CliError;
use super::init::remains::explain_missing;
use crate::config::{self, ConfigErrors, Configuration, Section};
use crate::http::{Listener, health_router, local_router, public_router, serve};
use crate::metrics::Metrics;
use crate::sandbox::Confined;
use crate::service::{Publish, Services};
use audit_log::OpenIntent;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLE, after_long_help = settings())]
pub(super) struct Arguments {
    /// Address to listen on [default: server.listen of the configuration]; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
    #[command(flatten)]
    pub(super) accepted: Accepted,
}

const EXAMPLE: &str = "Example:\n  avs-kms --data /var/lib/avs-kms serve --listen 127.0.0.1:8254";

/// Every setting with its default and its environment variable, for the long help.
fn settings() -> String {
    let mut text = format!("{EXAMPLE}\n\nSettings, their defaults and environment variables:");
    for Section { name, settings, .. } in config::sections() {
        let _ = write!(text, "\n  [{name}]");
        for setting in settings {
            let (name, default) = (setting.name(), &setting.default);
            let _ = write!(text, "\n  {:<54} {}", format!("{name} = {default}"), setting.variable());
        }
    }
    text
}

/// Reads the configuration once more.
type Reloader<'a> = dyn Fn() -> Result<Configuration, ConfigErrors> + 'a;

/// Starts in the order that refuses fastest: cheap checks first, the token last, and the first
/// request after everything.
pub(super) fn run(
    mut configuration: Configuration,
    reloader: &Reloader<'_>,
    accepted: Accepted,
) -> Result<(), CliError> {
    let data = &configuration.data;
    if !data.store().exists() {
        let directory = data.directory.display();
        if data.directory.join(crate::backup::JOURNAL).exists() {
            return Err(CliError::new(format!("a restore into {directory} was interrupted"))
                .with_hint("repeat it: it removes what it left"));
        }
        let failed = CliError::new(format!("{directory} is not a data directory"));
        return Err(explain_missing(&configuration, failed));
    }
    with_module_environment(&configuration)?;
    let _lock = DataLock::acquire(data)?.map_err(|held| held.error(data))?;
    let sockets = Sockets::bind(&configuration)?;
    let (url, is_loopback) = sockets.url()?;
    let warn_of_url = configuration.auth.public_url.is_none() && !is_loopback;
    configuration.auth.public_url.get_or_insert_with(|| url.clone());
    // Reads files of /proc, so it comes before the sandbox.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Threads inherit it, so it comes before all of them.
    let confined = sandbox(&configuration)
        .confine()
        .map_err(|error| CliError::context("cannot close the sandbox", &error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores)
        .enable_all()
        .build()
        .map_err(|error| CliError::context("cannot start threads", &error))?;
    let logging = Logging::start(&configuration, runtime.handle())?;
    if warn_of_url {
        tracing::warn!("auth.public_url is empty: logins and signed requests name this service {url}");
    }
    // Before the login: a signal that kills a process inside SoftHSM's login can destroy the token.
    let signals = {
        let _runtime = runtime.enter();
        Signals::listen().map_err(|error| CliError::context("cannot listen for signals", &error))?
    };
    let metrics =
        Metrics::start().map_err(|error| CliError::context("cannot start the metrics recorder", &error))?;
    hsm::describe_metrics();
    let Opened { services, open_intents } = open(&configuration, Needs::Token, &accepted, &runtime)?;
    let opening = Opening { open_intents, accepted, metrics, sockets, confined };
    let ended = runtime.block_on(until_stopped(
        &configuration,
        reloader,
        Arc::new(services),
        opening,
        (signals, &logging),
    ));
    // Before the runtime ends: it sends the last spans.
    logging.close();
    ended
}

/// How often observations move into histogram buckets; without it memory grows while nothing scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What is open when the runtime begins, beside the services.
struct Opening {
    open_intents: Vec<OpenIntent>,
    accepted: Accepted,
    metrics: Metrics,
    sockets: Sockets,
    confined: Confined,
}

/// Serves, and closes log and token however that ends: a thread that is inside the module would crash the exit.
async fn until_stopped(
    configuration: &Configuration,
    reloader: &Reloader<'_>,
    services: Arc<Services>,
    opening: Opening,
    on: (Signals, &Logging),
) -> Result<(), CliError> {
    let grace = configuration.server.shutdown_grace;
    match serve_requests(configuration, reloader, &services, opening, on).await {
        Ok(()) => close(services, grace).await,
        Err(error) => {
            // Why it cannot serve is said already.
            let _ = tokio::time::timeout(grace, services.close()).await;
            Err(error)
        }
    }
}

async fn serve_requests(
    configuration: &Configuration,
    reloader: &Reloader<'_>,
    services: &Arc<Services>,
    opening: Opening,
    (mut signals, logging): (Signals, &Logging),
) -> Result<(), CliError> {
    let Opening { open_intents, accepted, metrics, sockets, confined } = opening;
    // First: nothing is completed or rolled back over a log that was rolled back itself.
    let audit = &configuration.audit;
    let publish = Publish {
        files: audit.checkpoint_file.iter().cloned().collect(),
        mirror: audit.jsonl_file.clone(),
        webhook: audit.checkpoint_webhook_url.clone().unwrap_or_default(),
        anchor_every: audit.anchor_interval,
        stuck_after: audit.checkpoint_timeout,
        accepted: accepted.accept_audit_rollback,
    };
    services
        .checkpoints
        .publish(publish)
        .await
        .map_err(|failure| CliError::new(failure.cause_or_message()))?;

    let recovered = services.recover(open_intents).await;
    let recovered = recovered.map_err(|failure| {
        CliError::new(format!("cannot recover operations of the last run: {}", failure.cause_or_message()))
    })?;
    report(&recovered);
    services.store().freeze().iter().for_each(|freeze| frozen(freeze));
    let restored = services.signed_requests.restore(accepted.accept_clock_set_back).await;
    restored.map_err(|failure| {
        CliError::new(format!("cannot read which signed requests were used: {}", failure.cause_or_message()))
    })?;
    let deleted = services.logins.delete_expired_tokens().await;
    deleted.map_err(|failure| {
        CliError::new(format!("cannot delete expired access tokens: {}", failure.cause_or_message()))
    })?;
    let has_keys = !services.store().all_versions().is_empty();
    let unix = local_socket(configuration)?;

    let app = limits::app(configuration, services);
    // Everything is open and bound: no socket is created after this line.
    confined.filter().map_err(|error| CliError::context("cannot close the sandbox", &error))?;
    let (stop, stopped) = watch::channel(false);
    let background = background::start(configuration, services, &stopped).await?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            upkeep.run_upkeep();
        }
    });
    let mut listeners = JoinSet::new();
    if let Some(socket) = sockets.health {
        let (socket, address) = into_tokio(socket)?;
        let router = health_router(&app, metrics.clone());
        let bounds = limits::side_limits(configuration);
        listeners.spawn(serve(Listener::Tcp(socket), router, bounds, stopped.clone()));
        tracing::info!("health endpoint at http://{address}");
    }
    let local = local_router(&app);
    listeners.spawn(serve(Listener::Unix(unix), local, limits::side_limits(configuration), stopped.clone()));
    let (socket, address) = into_tokio(sockets.clients)?;
    let (clients, scheme) = match &sockets.tls {
        None => (Listener::Tcp(socket), "http"),
        Some(tls) => (Listener::Tls(socket, Arc::clone(tls)), "https"),
    };
    let bounds = limits::limits(configuration);
    let mut reloadable = Reloadable {
        logging,
        app: app.clone(),
        share: bounds.connections_per_address.clone(),
        tls: sockets.tls,
        services: Arc::clone(services),
        running: configuration.into(),
    };
    listeners.spawn(serve(clients, public_router(&app), bounds, stopped));
    tracing::info!("listening on {scheme}://{address}");
    if !has_keys {
        next_steps(configuration);
    }

    loop {
        tokio::select! {
            _ = signals.terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = signals.interrupt.recv() => tracing::info!("SIGINT: stopping"),
            _ = signals.hangup.recv() => {
                reloadable.apply(reloader());
                continue;
            }
        }
        break;
    }
    // Fails only when every listener has ended already.
    let _ = stop.send(true);
    while let Some(ended) = listeners.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a listener panicked");
        }
    }
    for task in background {
        if let Err(error) = task.await {
            tracing::error!(%error, "a background task panicked");
        }
    }
    let _ = std::fs::remove_file(configuration.data.socket());
    Ok(())
}

/// Closes the log before the token, which signs its last checkpoint, and both after the last
/// operation.
async fn close(services: Arc<Services>, grace: Duration) -> Result<(), CliError> {
    // A running operation holds the service, also one whose client has gone.
    let end = Instant::now() + grace;
    while Arc::strong_count(&services) > 1 {
        if Instant::now() >= end {
            tracing::warn!("operations were still under way when the grace time ended");
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    match services.close().await {
        Ok(head) => {
            tracing::info!(records = head.size, "stopped; the audit log is complete");
            Ok(())
        }
        Err(error) => Err(CliError::context("cannot close the audit log", &error)),
    }
}
