//! One connection from its first byte to its last: TLS where the listener has it, then HTTP/1.1 or HTTP/2.
//!
//! Every state in which a client can leave a connection has a timeout: handshake, header, idle, and a response that
//! the client does not read. (`extract::body` and `middleware::request` have those of bodies and of the work itself.)

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Version, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::auth::CertificateFingerprint;
use crate::http::app::{ClientCertificate, ListTurn};
use crate::http::endpoint::ApiRouter;
use crate::http::limits::connection_limit::ConnectionLimit;
use crate::http::server::error_rewrite::ErrorRewrite;
use crate::http::server::limits::Limits;
use crate::http::server::tls::Tls;
use crate::http::server::write_timeout::WriteTimeout;
use crate::service::Peer;

/// The longest header that is read, bytes, and the most fields.
const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_HEADER_FIELDS: usize = 64;

/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 32;

/// What an HTTP/2 client may send that nothing has read yet, bytes: on one stream, and on the connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 128 * 1024;

/// What the connections of a listener have in context.
pub(crate) struct ConnectionContext {
    pub(crate) router: ApiRouter,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Arc<Tls>>,
    /// The connections of each client network.
    pub(crate) networks: ConnectionLimit,
    /// Whether the listener has no slot left, so that another client may wait for one.
    pub(crate) full: watch::Sender<bool>,
}

pub(crate) type ConnectionEnd = Result<(), Box<dyn Error + Send + Sync>>;

/// Serves a connection to its end.
pub(crate) async fn serve<S>(
    stream: S,
    peer: Peer,
    context: Arc<ConnectionContext>,
    stop: watch::Receiver<bool>,
) -> ConnectionEnd
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = WriteTimeout::new(stream, context.limits.write);
    let Some(tls) = context.tls.clone() else {
        return http1(ErrorRewrite::new(stream), Client::new(peer, None), context, stop).await;
    };
    let stream = timeout(context.limits.header, tls.acceptor().accept(stream)).await??;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let certificate =
        certificate.map(|certificate| ClientCertificate(CertificateFingerprint::of(certificate)));
    let client = Client::new(peer, certificate);
    if session.alpn_protocol() == Some(b"h2") {
        http2(stream, client, context, stop).await
    } else {
        http1(ErrorRewrite::new(stream), client, context, stop).await
    }
}

async fn http1<S>(
    stream: S,
    client: Client,
    context: Arc<ConnectionContext>,
    stop: watch::Receiver<bool>,
) -> ConnectionEnd
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(context.limits.header)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADER_FIELDS)
        // One buffer, not many: `ErrorRewrite` sees whole heads.
        .writev(false)
        // A client that closes after its request is still served: the audit log records what it asked for.
        .half_close(true)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| client.respond(request, Arc::clone(&context))),
        );
    until_stopped(connection, stop, std::future::pending()).await
}

async fn http2<S>(
    stream: S,
    client: Client,
    context: Arc<ConnectionContext>,
    stop: watch::Receiver<bool>,
) -> ConnectionEnd
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = context.limits.clone();
    let activity = Arc::new(Activity::default());
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADER_BYTES.try_into().unwrap_or(u32::MAX))
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| {
                let (activity, response) = (activity.begin(), client.respond(request, Arc::clone(&context)));
                async move {
                    let response = response.await;
                    drop(activity);
                    response
                }
            }),
        );
    // hyper ends an idle HTTP/1 connection itself, but no HTTP/2 one; and not one whose peer reads nothing.
    let idle = async {
        activity.idle(limits.header).await;
        // A client that has sent no complete header has no response to read.
        if activity.has_begun() { limits.write } else { Duration::ZERO }
    };
    // Other clients wait for a slot: a connection that has had one for a while ends, with its responses finished.
    let had_its_turn = async {
        tokio::time::sleep(limits.header).await;
        // The sender outlives every connection.
        let _ = context.full.subscribe().wait_for(|full| *full).await;
        limits.grace
    };
    let time_to_end = async {
        tokio::select! {
            patience = idle => patience,
            patience = had_its_turn => patience,
        }
    };
    until_stopped(connection, stop, time_to_end).await
}

/// Runs a connection. When the service stops or the time has come, it ends gracefully within a timeout.
async fn until_stopped<C>(
    connection: C,
    mut stop: watch::Receiver<bool>,
    time_to_end: impl Future<Output = Duration>,
) -> ConnectionEnd
where
    C: GracefulConnection<Error = hyper::Error> + Future<Output = Result<(), hyper::Error>>,
{
    let mut connection = pin!(connection);
    let patience = tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        // The listener's grace bounds the wait then.
        _ = stop.wait_for(|stop| *stop) => None,
        patience = time_to_end => Some(patience),
    };
    GracefulConnection::graceful_shutdown(connection.as_mut());
    match patience {
        None => Ok(connection.await?),
        Some(patience) => Ok(timeout(patience, connection).await??),
    }
}

/// The other end of the connection.
#[derive(Clone)]
struct Client {
    peer: Peer,
    certificate: Option<ClientCertificate>,
    lists: ListTurn,
}

impl Client {
    fn new(peer: Peer, certificate: Option<ClientCertificate>) -> Self {
        Self { peer, certificate, lists: ListTurn(Arc::new(Semaphore::new(1))) }
    }

    fn respond(
        &self,
        request: hyper::Request<Incoming>,
        context: Arc<ConnectionContext>,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let mut request = request.map(Body::new);
        if let Some(certificate) = self.certificate {
            request.extensions_mut().insert(certificate);
        }
        request.extensions_mut().insert(self.lists.clone());
        let (old, peer) = (request.version() < Version::HTTP_2, self.peer);
        async move {
            let mut response = context.router.clone().respond(request, peer).await;
            // Other clients wait for a slot: this one reconnects for its next request.
            if old && *context.full.borrow() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }
    }
}

/// The requests under way on a connection.
#[derive(Default)]
struct Activity {
    in_flight: AtomicUsize,
    begun: AtomicUsize,
}

struct InFlight(Arc<Activity>);

impl Activity {
    fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed) > 0
    }

    /// Returns once no request was under way, and none began, for this long (twice that at most).
    async fn idle(&self, long: Duration) {
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            tokio::time::sleep(long).await;
            if self.in_flight.load(Ordering::Relaxed) == 0 && self.begun.load(Ordering::Relaxed) == begun {
                return;
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
