//! `avs-kms serve`: start, run until told to stop, stop in order.

mod background;
pub(super) mod data_lock;
pub(super) mod limits;
mod logging;
pub(super) mod open;
mod reload;
pub(super) mod sandbox;
mod tls;

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::data_lock::DataLock;
use self::logging::Logging;
use self::open::{Needs, Opened, open, with_softhsm_environment};
use self::reload::Live;
use self::sandbox::sandbox;
use super::error::Failed;
use crate::config::{Configuration, Mistakes};
use crate::http::{App, Listener, Tls, health_router, local_router, public_router, serve};
use crate::metrics::Metrics;
use crate::sandbox::Confined;
use crate::service::{Publish, Recovered};
use audit_log::KnownHead;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen, instead of what the configuration says; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
    /// Go on although the audit log lacks the past that a kept checkpoint says, as the refusal names it. Recorded for ever.
    #[arg(long, value_name = "SIZE:ROOT")]
    pub(super) accept_audit_rollback: Vec<KnownHead>,
}

/// Reads the configuration once more.
type Again<'a> = dyn Fn() -> Result<Configuration, Mistakes> + 'a;

/// Order: cheap refusals first, the token last, the first request after everything.
pub(super) fn run(
    mut configuration: Configuration,
    again: &Again<'_>,
    accepted: Vec<KnownHead>,
) -> Result<(), Failed> {
    let data = &configuration.data;
    if !data.store().exists() {
        return Err(Failed::new(format!(
            "{} is not a data directory; `avs-kms --data {0} init` makes one",
            data.directory.display()
        )));
    }
    with_softhsm_environment(&configuration)?;
    let _lock = DataLock::acquire(data)?.map_err(|held| held.failed(data))?;
    let address = configuration.server.listen;
    let tls = tls::tls(&configuration)?;
    let bind = |address| {
        StdTcpListener::bind(address)
            .map_err(|error| Failed::while_trying(format!("cannot listen on {address}"), &error))
    };
    let sockets = Sockets {
        clients: bind(address)?,
        health: configuration.server.health_listen.map(bind).transpose()?,
        tls,
    };
    let mut unnamed = false;
    if configuration.auth.url.is_empty() {
        let scheme = if configuration.tls.is_some() { "https" } else { "http" };
        let bound = sockets.clients.local_addr();
        let bound = bound.map_err(|error| Failed::while_trying("cannot listen", &error))?;
        unnamed = !bound.ip().is_loopback();
        configuration.auth.url = format!("{scheme}://{bound}");
    }
    // Counted before it: the count reads files of /proc. Threads inherit it, so it comes before all of them.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let confined = sandbox(&configuration)
        .confine()
        .map_err(|error| Failed::while_trying("cannot close the sandbox", &error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores)
        .enable_all()
        .build()
        .map_err(|error| Failed::while_trying("cannot start threads", &error))?;
    let logging = Logging::start(&configuration, runtime.handle())?;
    if unnamed {
        tracing::warn!(
            "auth.url is empty: what operators sign names this service {}",
            configuration.auth.url
        );
    }
    // Before the login: a signal that kills a process inside SoftHSM's login can destroy the token.
    let signals = {
        let _runtime = runtime.enter();
        Signals::listen().map_err(|error| Failed::while_trying("cannot listen for signals", &error))?
    };
    let metrics = Metrics::start()
        .map_err(|error| Failed::while_trying("cannot start the metrics recorder", &error))?;
    hsm::describe_metrics();
    let opened = open(&configuration, Needs::Token)?;
    let opening = Opening { opened, accepted, metrics, sockets, confined };
    let ended = runtime.block_on(until_stopped(&configuration, again, opening, (signals, &logging)));
    // The runtime still stands: the last spans go by it.
    logging.close();
    ended
}

/// How often observations move into histogram buckets; without it memory grows while nothing scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What stands when the runtime begins.
struct Opening {
    opened: Opened,
    /// What an operator lets the audit log go on over.
    accepted: Vec<KnownHead>,
    metrics: Metrics,
    sockets: Sockets,
    confined: Confined,
}

/// What clients reach, bound before anything slow is done.
struct Sockets {
    clients: StdTcpListener,
    health: Option<StdTcpListener>,
    tls: Option<Arc<Tls>>,
}

/// What asks the service to stop, or to read its configuration again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

fn into_tokio(socket: StdTcpListener) -> Result<(TcpListener, SocketAddr), Failed> {
    let io = |error: std::io::Error| Failed::while_trying("cannot listen", &error);
    socket.set_nonblocking(true).map_err(io)?;
    let socket = TcpListener::from_std(socket).map_err(io)?;
    let address = socket.local_addr().map_err(io)?;
    Ok((socket, address))
}

async fn until_stopped(
    configuration: &Configuration,
    again: &Again<'_>,
    opening: Opening,
    (mut signals, logging): (Signals, &Logging),
) -> Result<(), Failed> {
    let Opening { opened: Opened { service, open_intents }, accepted, metrics, sockets, confined } = opening;
    // First: over a log that was rolled back nothing is finished or undone.
    let audit = &configuration.audit;
    let publish = Publish {
        files: audit.checkpoint_files.clone(),
        mirror: audit.mirror.clone(),
        webhook: audit.webhook.clone(),
        anchor_every: audit.anchor_interval,
        accepted,
    };
    service
        .publish_checkpoints(publish)
        .await
        .map_err(|failure| Failed::new(failure.cause().unwrap_or_else(|| failure.to_string())))?;

    let recovered = service.recover(open_intents).await;
    let recovered = recovered.map_err(|failure| Failed::new(format!("cannot recover: {failure}")))?;
    report(&recovered);
    let remembered = service.remember_signed();
    remembered.map_err(|error| Failed::while_trying("cannot read which signatures were used", &error))?;
    let forgotten = service.forget_expired_tokens();
    forgotten.map_err(|error| Failed::while_trying("cannot forget tokens that expired", &error))?;
    let unix = local_socket(configuration)?;

    let service = Arc::new(service);
    let app =
        App::new(Arc::clone(&service), configuration.server.body_timeout, limits::reloadable(configuration));
    // Everything is open and bound: no socket is made after this line.
    confined.filter().map_err(|error| Failed::while_trying("cannot close the sandbox", &error))?;
    let (stop, stopped) = watch::channel(false);
    let background = background::start(configuration, &service, &stopped)?;
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
        let router = health_router(app.clone(), metrics.clone());
        listeners.spawn(serve(
            Listener::Tcp(socket),
            router,
            limits::side_limits(configuration),
            stopped.clone(),
        ));
        tracing::info!("health is told on http://{address}");
    }
    let local = local_router(app.clone());
    listeners.spawn(serve(Listener::Unix(unix), local, limits::side_limits(configuration), stopped.clone()));
    let (socket, address) = into_tokio(sockets.clients)?;
    let (clients, scheme) = match &sockets.tls {
        None => (Listener::Tcp(socket), "http"),
        Some(tls) => (Listener::Tls(socket, Arc::clone(tls)), "https"),
    };
    let bounds = limits::limits(configuration);
    let mut live = Live {
        logging,
        app: app.clone(),
        share: bounds.connections_per_address.clone(),
        tls: sockets.tls,
        service: Arc::clone(&service),
        applied: configuration.into(),
    };
    listeners.spawn(serve(clients, public_router(app), bounds, stopped));
    tracing::info!("listening on {scheme}://{address}");

    loop {
        tokio::select! {
            _ = signals.terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = signals.interrupt.recv() => tracing::info!("SIGINT: stopping"),
            _ = signals.hangup.recv() => {
                live.apply(again());
                continue;
            }
        }
        break;
    }
    drop(live);
    // Nobody can be listening any more if this fails, which is what it asks for.
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
    close(service, configuration.server.shutdown_grace).await
}

/// The log before the token, which signs its last checkpoint; and both after the last operation.
async fn close(service: Arc<crate::service::Service>, grace: Duration) -> Result<(), Failed> {
    // Operations hold the service: those that outlived their client's patience, too.
    let end = Instant::now() + grace;
    while Arc::strong_count(&service) > 1 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let closed = tokio::task::spawn_blocking(move || service.close());
    match closed.await {
        Ok(Ok(head)) => {
            tracing::info!(records = head.size, "stopped; the audit log is whole");
            Ok(())
        }
        Ok(Err(error)) => Err(Failed::while_trying("cannot close the audit log", &error)),
        Err(error) => Err(Failed::while_trying("cannot close the service", &error)),
    }
}

/// Only who may enter the data directory reaches the socket; its mode says so once more.
fn local_socket(configuration: &Configuration) -> Result<UnixListener, Failed> {
    let path = configuration.data.socket();
    let error = |error: std::io::Error| {
        Failed::while_trying(
            format!("cannot make the socket {} (at most 107 bytes long)", path.display()),
            &error,
        )
    };
    // A socket that a killed process left; the lock says that nobody listens on it.
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
        Err(cause) => return Err(error(cause)),
    }
    let listener = UnixListener::bind(&path).map_err(error)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(error)?;
    Ok(listener)
}

fn report(recovered: &Recovered) {
    let Recovered { finished, undone, missing, unclaimed } = recovered;
    if finished + undone > 0 {
        tracing::warn!(finished, undone, "operations that an earlier process left open were settled");
    }
    for version in missing {
        tracing::error!(version, "the token does not hold this key as the store knows it; it will not sign");
    }
    for record in unclaimed {
        tracing::warn!(record, "the token holds a record that the store does not know; it is left alone");
    }
}
