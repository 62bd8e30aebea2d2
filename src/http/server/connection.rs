//! One connection from its first byte to its last: TLS where the listener has it, then HTTP/1.1 or HTTP/2.
//!
//! Every state that a client can leave a connection in has an end: handshake, header, idling, and an answer that
//! nobody reads. (Bodies and the work itself have their own, in `body` and `each_request`.)

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Version, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::auth::Fingerprint;
use crate::http::server::error_rewrite::Spoken;
use crate::http::server::listener::Limits;
use crate::http::server::tls::Tls;
use crate::http::server::write_timeout::Patient;
use crate::service::Peer;

/// The longest header that is read, bytes, and the most fields.
const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_HEADER_FIELDS: usize = 64;

/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 32;

/// What the connections of a listener have in common.
pub(crate) struct Common {
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Arc<Tls>>,
    /// Whether somebody may wait for a place that a connection takes.
    pub(crate) full: watch::Sender<bool>,
}

/// A client's certificate, verified.
#[derive(Clone, Copy)]
pub(crate) struct ClientCertificate(pub(crate) Fingerprint);

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// Serves a connection to its end.
pub(crate) async fn serve<S>(stream: S, peer: Peer, common: Arc<Common>, stop: watch::Receiver<bool>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = Patient::new(stream, common.limits.write);
    let Some(tls) = common.tls.clone() else {
        return http1(Spoken::new(stream), Client { peer, certificate: None }, common, stop).await;
    };
    let stream = timeout(common.limits.header, tls.acceptor().accept(stream)).await??;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.map(|certificate| ClientCertificate(Fingerprint::of(certificate)));
    let client = Client { peer, certificate };
    if session.alpn_protocol() == Some(b"h2") {
        http2(stream, client, common, stop).await
    } else {
        http1(Spoken::new(stream), client, common, stop).await
    }
}

async fn http1<S>(stream: S, client: Client, common: Arc<Common>, stop: watch::Receiver<bool>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(common.limits.header)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADER_FIELDS)
        // One buffer, not many: `Spoken` sees whole heads.
        .writev(false)
        // A client that sent its request and left is still served: what it asked for is in the books.
        .half_close(true)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| client.answer(request, Arc::clone(&common))),
        );
    until_stopped(connection, stop, std::future::pending()).await
}

async fn http2<S>(stream: S, client: Client, common: Arc<Common>, stop: watch::Receiver<bool>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = common.limits.clone();
    let activity = Arc::new(Activity::default());
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES.try_into().unwrap_or(u32::MAX))
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| {
                let (activity, answer) = (activity.begin(), client.answer(request, Arc::clone(&common)));
                async move {
                    let answer = answer.await;
                    drop(activity);
                    answer
                }
            }),
        );
    // hyper ends an idle HTTP/1 connection itself, but no HTTP/2 one; and not one whose peer reads nothing.
    let idle = async {
        activity.idle(limits.header).await;
        // Who has sent no whole header until now has no answer to read.
        if activity.has_begun() { limits.write } else { Duration::ZERO }
    };
    // Others wait for a place: whoever has had one for a while queues up again, with answers under way finished.
    let had_its_turn = async {
        tokio::time::sleep(limits.header).await;
        // The sender outlives every connection.
        let _ = common.full.subscribe().wait_for(|full| *full).await;
        limits.grace
    };
    let asked_to_go = async {
        tokio::select! {
            patience = idle => patience,
            patience = had_its_turn => patience,
        }
    };
    until_stopped(connection, stop, asked_to_go).await
}

/// Runs a connection; it is asked to end when the service stops or it is time to go, and then has so long for that.
async fn until_stopped<C>(
    connection: C,
    mut stop: watch::Receiver<bool>,
    time_to_go: impl Future<Output = Duration>,
) -> Ended
where
    C: GracefulConnection<Error = hyper::Error> + Future<Output = Result<(), hyper::Error>>,
{
    let mut connection = pin!(connection);
    let patience = tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        // The listener's grace bounds the wait then.
        _ = stop.wait_for(|stop| *stop) => None,
        patience = time_to_go => Some(patience),
    };
    GracefulConnection::graceful_shutdown(connection.as_mut());
    match patience {
        None => Ok(connection.await?),
        Some(patience) => Ok(timeout(patience, connection).await??),
    }
}

/// Who is at the other end.
#[derive(Clone, Copy)]
struct Client {
    peer: Peer,
    certificate: Option<ClientCertificate>,
}

impl Client {
    fn answer(
        self,
        request: hyper::Request<Incoming>,
        common: Arc<Common>,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        if let Some(certificate) = self.certificate {
            request.extensions_mut().insert(certificate);
        }
        let old = request.version() < Version::HTTP_2;
        async move {
            let mut response = common.router.clone().oneshot(request).await?;
            // Others wait for a place: whoever wants more queues up again.
            if old && *common.full.borrow() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }
    }
}

/// The requests under way on a connection.
#[derive(Default)]
struct Activity {
    under_way: AtomicUsize,
    begun: AtomicUsize,
}

struct UnderWay(Arc<Activity>);

impl Activity {
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed) > 0
    }

    /// Returns once no request was under way, and none began, for this long (twice that at most).
    async fn idle(&self, long: Duration) {
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            tokio::time::sleep(long).await;
            if self.under_way.load(Ordering::Relaxed) == 0 && self.begun.load(Ordering::Relaxed) == begun {
                return;
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
