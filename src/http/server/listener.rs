//! The accept loop: connections are capped by not accepting, each address has its share, shutdown drains.
//!
//! Our own because `axum::serve` has no header timeout; refusing at the door costs more than serving
//! (facts of the design: a full house is answered by letting the kernel's backlog wait).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::http::error;
use crate::http::limits::connection_limit::{ConnectionGuard, ConnectionLimit, NetworkQuota};
use crate::http::server::connection::{self, Common};
use crate::http::server::tls::Tls;
use crate::request_id::RequestId;
use crate::service::{Code, Failure, Peer};

/// Bounds of a listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: u32,
    /// Connections of one address at a time.
    pub connections_per_address: NetworkQuota,
    /// A TLS handshake, and a request's header, must be complete within this time; an idle connection ends after it.
    pub header: Duration,
    /// A client that takes nothing of its answer for so long is left.
    pub write: Duration,
    /// How long a shutdown waits for requests under way.
    pub grace: Duration,
}

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// Clients, in the clear.
    Tcp(TcpListener),
    /// Clients, through TLS.
    Tls(TcpListener, Arc<Tls>),
    /// The machine's own operator.
    Unix(UnixListener),
}

/// Serves until `stop` turns true, then waits for requests under way as long as the grace lasts.
pub async fn serve(listener: Listener, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(limits.connections as usize));
    let addresses = ConnectionLimit::new(limits.connections_per_address.clone());
    let tls = match &listener {
        Listener::Tls(_, tls) => Some(Arc::clone(tls)),
        Listener::Tcp(_) | Listener::Unix(_) => None,
    };
    let (grace, connections) = (limits.grace, limits.connections);
    let common = Arc::new(Common { router, limits, tls, full: watch::Sender::new(false) });
    let stopping = stop.clone();
    let connect = |stream, peer, held| connect(stream, peer, &common, &stopping, held);
    loop {
        // The place is taken inside the select: a full house must still hear the signal to stop.
        let next = async {
            let place = place(&places, &common.full).await?;
            Some((place, accept(&listener).await))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        match accepted {
            None => break,
            Some((place, Ok((stream, peer)))) => {
                let share = match peer {
                    Peer::Tcp(address) => addresses.enter(address.ip()).map(Some),
                    Peer::Local => Some(None),
                };
                match share {
                    Some(share) => connect(stream, peer, (place, share)),
                    None => stream.turn_away(common.tls.is_some()),
                }
            }
            Some((_, Err(error))) => {
                // Out of descriptors, mostly: waiting lets some connections end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    // Every place is free again when every connection has ended.
    if tokio::time::timeout(grace, places.acquire_many(connections)).await.is_err() {
        tracing::warn!("some requests were still under way when the grace time ended");
    }
}

/// A place for the next connection; while there is none, `full` says so.
async fn place(places: &Arc<Semaphore>, full: &watch::Sender<bool>) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return Some(place);
    }
    full.send_replace(true);
    let place = Arc::clone(places).acquire_owned().await.ok();
    full.send_replace(false);
    place
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

async fn accept(listener: &Listener) -> io::Result<(Stream, Peer)> {
    match listener {
        Listener::Tcp(listener) | Listener::Tls(listener, _) => {
            let (stream, address) = listener.accept().await?;
            // Answers are small and latency is the product; a refusal only costs speed.
            let _ = stream.set_nodelay(true);
            Ok((Stream::Tcp(stream), Peer::Tcp(address)))
        }
        Listener::Unix(listener) => Ok((Stream::Unix(listener.accept().await?.0), Peer::Local)),
    }
}

impl Stream {
    /// One write that does not wait, and gone: who has its share gets no more of our time.
    fn turn_away(self, tls: bool) {
        if let (Self::Tcp(stream), false) = (self, tls) {
            let failure = Failure::new(Code::RateLimited, "too many connections from this address");
            let failure = failure.retry_after(Duration::from_secs(1));
            let id = RequestId::random().unwrap_or(RequestId::new([0; 16]));
            let _ = stream.try_write(&error::whole_answer(&failure, id, "429 Too Many Requests"));
        }
    }
}

fn connect(
    stream: Stream,
    peer: Peer,
    common: &Arc<Common>,
    stop: &watch::Receiver<bool>,
    held: (OwnedSemaphorePermit, Option<ConnectionGuard>),
) {
    let (common, stop) = (Arc::clone(common), stop.clone());
    tokio::spawn(async move {
        let ended = match stream {
            Stream::Tcp(stream) => connection::serve(stream, peer, common, stop).await,
            Stream::Unix(stream) => connection::serve(stream, peer, common, stop).await,
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended early");
        }
        drop(held);
    });
}
