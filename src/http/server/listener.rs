//! Accept loop: limits the number of connections by not accepting, and per client network; drains at shutdown.
//!
//! Our own because `axum::serve` has no header timeout. A refusal costs more than a response, so a full listener
//! leaves new connections in the kernel's backlog.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::http::endpoint::ApiRouter;
use crate::http::error;
use crate::http::limits::connection_limit::{ConnectionGuard, ConnectionLimit};
use crate::http::limits::log_budget::{LogBudget, Verdict};
use crate::http::server::connection::{self, ConnectionContext, ConnectionEnd};
use crate::http::server::limits::Limits;
use crate::http::server::proxy_protocol;
use crate::http::server::tls::Tls;
use crate::request_id::RequestId;
use crate::service::{ErrorCode, LocalProcess, Peer, ServiceError};

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// Clients, over plain HTTP.
    Tcp(TcpListener),
    /// Clients, over TLS.
    Tls(TcpListener, Arc<Tls>),
    /// The administrator of this host.
    Unix(UnixListener),
}

/// Serves until `stop` turns true, then waits for requests under way as long as the grace lasts.
pub async fn serve(listener: Listener, router: ApiRouter, limits: Limits, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(limits.connections as usize));
    let networks = ConnectionLimit::new(limits.connections_per_address.clone());
    let tls = match &listener {
        Listener::Tls(_, tls) => Some(Arc::clone(tls)),
        Listener::Tcp(_) | Listener::Unix(_) => None,
    };
    let (grace, connections) = (limits.grace, limits.connections);
    let full = watch::Sender::new(false);
    let context = Arc::new(ConnectionContext { router, limits, tls, networks: networks.clone(), full });
    let stopping = stop.clone();
    let connect = |stream, peer, held| connect(stream, peer, &context, &stopping, held);
    loop {
        // The slot is taken inside the select: a full listener must still stop.
        let next = async {
            let slot = slot(&slots, &context.full).await?;
            Some((slot, accept(&listener).await))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        match accepted {
            None => break,
            Some((slot, Ok((stream, peer)))) => {
                let guard = match peer {
                    // All clients of a proxy have its address.
                    Peer::Tcp(address) if context.limits.proxies.contain(address.ip()) => Some(None),
                    Peer::Tcp(address) => networks.enter(address.ip()).map(Some),
                    Peer::Local(_) => Some(None),
                };
                match guard {
                    Some(guard) => connect(stream, peer, (slot, guard)),
                    None => stream.reject(&context),
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
    // All slots are free when every connection has ended.
    if tokio::time::timeout(grace, slots.acquire_many(connections)).await.is_err() {
        tracing::warn!("some requests were still under way when the grace time ended");
    }
}

/// A slot for the next connection; `full` is true while there is none.
async fn slot(slots: &Arc<Semaphore>, full: &watch::Sender<bool>) -> Option<OwnedSemaphorePermit> {
    if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
        return Some(slot);
    }
    full.send_replace(true);
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    full.send_replace(false);
    slot
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

async fn accept(listener: &Listener) -> io::Result<(Stream, Peer)> {
    match listener {
        Listener::Tcp(listener) | Listener::Tls(listener, _) => {
            let (stream, address) = listener.accept().await?;
            // Responses are small and latency matters; without it the connection is only slower.
            let _ = stream.set_nodelay(true);
            Ok((Stream::Tcp(stream), Peer::Tcp(address)))
        }
        Listener::Unix(listener) => loop {
            let (stream, _) = listener.accept().await?;
            let other = stream.peer_cred()?;
            if !administers(other.uid(), rustix::process::geteuid().as_raw()) {
                tracing::warn!(
                    uid = other.uid(),
                    "a process of another user opened the local socket; it was closed"
                );
                continue;
            }
            let pid = other.pid().and_then(|pid| pid.try_into().ok());
            return Ok((Stream::Unix(stream), Peer::Local(LocalProcess { uid: other.uid(), pid })));
        },
    }
}

/// Whether a user is the administrator of this host: root, or the service's own. The modes of socket and directory say
/// the same, and another hand may have changed them.
const fn administers(user: u32, own: u32) -> bool {
    user == 0 || user == own
}

impl Stream {
    /// Sends a refusal without waiting and closes: a network at its quota gets no more time.
    fn reject(self, context: &ConnectionContext) {
        if let (Self::Tcp(stream), None) = (self, &context.tls) {
            let failure = ServiceError::new(ErrorCode::RateLimited, "too many connections from this address");
            let failure = failure.retry_after(Duration::from_secs(1));
            let id = RequestId::random().unwrap_or(RequestId::new([0; 16]));
            let _ = stream.try_write(&error::raw_error_response(&failure, id, "429 Too Many Requests"));
        }
    }
}

fn connect(
    stream: Stream,
    peer: Peer,
    context: &Arc<ConnectionContext>,
    stop: &watch::Receiver<bool>,
    held: (OwnedSemaphorePermit, Option<ConnectionGuard>),
) {
    let (context, stop) = (Arc::clone(context), stop.clone());
    tokio::spawn(async move {
        let ended = match stream {
            Stream::Tcp(stream) => serve_tcp(stream, peer, context, stop).await,
            Stream::Unix(stream) => connection::serve(stream, peer, context, stop).await,
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended early");
        }
        drop(held);
    });
}

/// Lines about proxies without a header: one that only checks whether the port is open would write many.
static PROXY_ERRORS: LogBudget = LogBudget::new();

/// Serves a client's connection, or that of the client whom a proxy names in its first bytes.
async fn serve_tcp(
    mut stream: TcpStream,
    peer: Peer,
    context: Arc<ConnectionContext>,
    stop: watch::Receiver<bool>,
) -> ConnectionEnd {
    let Limits { proxies, proxy_protocol, header, .. } = &context.limits;
    let address = match peer {
        Peer::Tcp(address) if *proxy_protocol && proxies.contain(address.ip()) => address,
        Peer::Tcp(_) | Peer::Local(_) => return connection::serve(stream, peer, context, stop).await,
    };
    let named = tokio::time::timeout(*header, proxy_protocol::client(&mut stream, address)).await;
    let client = named.map_err(io::Error::from).flatten().inspect_err(|error| {
        if PROXY_ERRORS.take(Instant::now()) != Verdict::Suppress {
            tracing::warn!(%error, %address, "a trusted proxy sent no PROXY header; its connection is closed");
        }
    })?;
    if proxies.contain(client.ip()) {
        return connection::serve(stream, Peer::Tcp(client), context, stop).await;
    }
    let Some(guard) = context.networks.enter(client.ip()) else {
        Stream::Tcp(stream).reject(&context);
        return Ok(());
    };
    let ended = connection::serve(stream, Peer::Tcp(client), context, stop).await;
    drop(guard);
    ended
}

#[cfg(test)]
mod tests {
    use super::administers;

    #[test]
    fn only_root_and_the_user_of_the_service_are_the_administrator_whatever_the_mode_of_the_socket_is() {
        for (user, own, is) in [(0, 0, true), (0, 7, true), (7, 7, true), (8, 7, false), (7, 0, false)] {
            assert_eq!(administers(user, own), is, "{user} {own}");
        }
    }
}
