//! `avs-kms serve`: start, run until told to stop, stop in order.

use std::net::TcpListener as StdTcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use super::Failed;
use super::background;
use super::lock::DataLock;
use super::open::{Needs, Opened, open, with_softhsm_environment};
use crate::config::{Configuration, Log, LogFormat};
use crate::http::{App, Limits, Listener, local_router, public_router, serve};
use crate::operation::Recovered;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen, instead of what the configuration says; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
}

/// Order: cheap refusals first, the token last, the first request after everything.
pub(super) fn run(configuration: Configuration) -> Result<(), Failed> {
    let data = &configuration.data;
    if !data.store().exists() {
        return Err(Failed::new(format!(
            "{} is not a data directory; `avs-kms --data {0} init` makes one",
            data.directory.display()
        )));
    }
    with_softhsm_environment(&configuration)?;
    start_log(&configuration.log);
    let _lock = DataLock::acquire(data)?.map_err(|held| held.failed(data))?;
    let address = configuration.server.listen;
    let tcp = StdTcpListener::bind(address)
        .map_err(|error| Failed::while_trying(format!("cannot listen on {address}"), &error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::while_trying("cannot start threads", &error))?;
    // Before the login: a signal that kills a process inside SoftHSM's login can destroy the token.
    let signals = {
        let _runtime = runtime.enter();
        Signals::listen().map_err(|error| Failed::while_trying("cannot listen for signals", &error))?
    };
    let opened = open(&configuration, Needs::Token)?;
    runtime.block_on(until_stopped(&configuration, opened, tcp, signals))
}

/// What asks the service to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }
}

async fn until_stopped(
    configuration: &Configuration,
    opened: Opened,
    tcp: StdTcpListener,
    mut signals: Signals,
) -> Result<(), Failed> {
    let Opened { service, unsettled } = opened;
    let recovered = service.recover(unsettled).await;
    let recovered = recovered.map_err(|failure| Failed::new(format!("cannot recover: {failure}")))?;
    report(&recovered);
    service
        .publish_checkpoints(&configuration.audit.checkpoint_files, configuration.audit.mirror.as_deref())
        .map_err(|failure| Failed::new(failure.cause().unwrap_or_else(|| failure.to_string())))?;

    let io = |error: std::io::Error| Failed::while_trying("cannot listen", &error);
    tcp.set_nonblocking(true).map_err(io)?;
    let tcp = TcpListener::from_std(tcp).map_err(io)?;
    let address = tcp.local_addr().map_err(io)?;
    let unix = local_socket(configuration)?;

    let service = Arc::new(service);
    let app = App::new(Arc::clone(&service), configuration.server.body_timeout);
    let limits = Limits {
        connections: configuration.server.max_connections,
        header: configuration.server.header_timeout,
        grace: configuration.server.shutdown_grace,
    };
    let (stop, stopped) = watch::channel(false);
    let background = background::start(configuration, &service, &stopped)?;
    let public = tokio::spawn(serve(Listener::Tcp(tcp), public_router(app.clone()), limits, stopped.clone()));
    let local = tokio::spawn(serve(Listener::Unix(unix), local_router(app), limits, stopped));
    tracing::info!("listening on http://{address}");

    tokio::select! {
        _ = signals.terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = signals.interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    // Nobody can be listening any more if this fails, which is what it asks for.
    let _ = stop.send(true);
    for listener in [public, local] {
        if let Err(error) = listener.await {
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
async fn close(service: Arc<crate::operation::Service>, grace: Duration) -> Result<(), Failed> {
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

fn start_log(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.with_ansi(false).init(),
    }
}
