//! The accept loop: connections are capped by not accepting, headers have a deadline, shutdown drains.
//!
//! Our own because `axum::serve` has no header timeout; refusing at the door costs more than serving
//! (facts of the design: a full house is answered by letting the kernel's backlog wait).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::operation::Peer;

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// A request's header must be complete within this time; an idle connection ends after it.
    pub header: Duration,
    /// How long a shutdown waits for requests under way.
    pub grace: Duration,
}

/// The longest header that is read, bytes, and the most fields.
const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_HEADER_FIELDS: usize = 64;

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// Clients.
    Tcp(TcpListener),
    /// The machine's own operator.
    Unix(UnixListener),
}

/// Serves until `stop` turns true, then waits for requests under way as long as the grace lasts.
pub async fn serve(listener: Listener, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        // The place is taken inside the select: a full house must still hear the signal to stop.
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((place, accept(&listener).await))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        match accepted {
            None => break,
            Some((place, Ok(Accepted::Tcp(stream, address)))) => {
                // Answers are small and latency is the product; a refusal only costs speed.
                let _ = stream.set_nodelay(true);
                let router = router.clone().layer(Extension(Peer::Tcp(address)));
                connect(stream, router, limits, graceful.watcher(), place);
            }
            Some((place, Ok(Accepted::Unix(stream)))) => {
                let router = router.clone().layer(Extension(Peer::Local));
                connect(stream, router, limits, graceful.watcher(), place);
            }
            Some((_, Err(error))) => {
                // Out of descriptors, mostly: waiting lets some connections end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still under way when the grace time ended");
    }
}

enum Accepted {
    Tcp(tokio::net::TcpStream, std::net::SocketAddr),
    Unix(tokio::net::UnixStream),
}

async fn accept(listener: &Listener) -> io::Result<Accepted> {
    match listener {
        Listener::Tcp(listener) => {
            listener.accept().await.map(|(stream, address)| Accepted::Tcp(stream, address))
        }
        Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
    }
}

fn connect<S>(stream: S, router: Router, limits: Limits, watcher: Watcher, place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADER_FIELDS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let connection = watcher.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(place);
    });
}
