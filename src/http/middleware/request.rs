//! What every request passes: an id, rates and admission, its own task, a deadline, and the record of a refusal.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

use crate::http::app::{App, Deadline};
use crate::http::error;
use crate::http::extract::operation_name::operation_in;
use crate::http::limits::hold;
use crate::http::server::ClientCertificate;
use crate::metrics;
use crate::request_id::RequestId;
use crate::service::{Asked, Code, Context, Failure, Peer};

/// Gives each request its id, which every answer carries in a header, and bounds how often an address may ask.
pub(crate) async fn each_request(State(app): State<App>, mut request: Request, next: Next) -> Response {
    // An id of zeros is still an answer with an id, on a machine without randomness.
    let id = RequestId::random().unwrap_or(RequestId::new([0; 16]));
    let (begun, operation) = (std::time::Instant::now(), operation_in(&request).unwrap_or("other"));
    // Who is turned away at the door costs no span.
    let mut span = Span::none();
    let peer = request.extensions().get::<Peer>().copied();
    let mut response = match peer {
        None => error::answer(&Failure::internal("a request without a peer"), id),
        Some(peer) => {
            let certificate = request.extensions_mut().remove::<ClientCertificate>();
            let certificate = certificate.map(|ClientCertificate(fingerprint)| fingerprint);
            let context = Context::anonymous(id, peer).certified(certificate);
            match admitted(&app, peer, &request) {
                Ok(()) => {
                    // The empty field is filled in when the answer is known.
                    span = tracing::info_span!(
                        "request", %id, method = %request.method(), path = request.uri().path(), operation,
                        code = tracing::field::Empty
                    );
                    answered(&app, context, request, next, &span).await
                }
                Err(failure) => error::answer(&failure, id),
            }
        }
    };
    let answered = response.extensions().get::<error::Answered>().copied();
    let code = answered.map_or("ok", |answered| answered.code.slug());
    metrics::answered(operation, code, begun);
    span.record("code", code);
    if let Ok(value) = id.to_string().parse() {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if let Some(held) = hold::time(peer, answered) {
        tokio::time::sleep(held).await;
    }
    response
}

/// The header that names the request in every answer, beside `request_id` in the body of errors.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is refused here was not looked at, so it leaves no record.
fn admitted(app: &App, peer: Peer, request: &Request) -> Result<(), Failure> {
    let Peer::Tcp(address) = peer else { return Ok(()) };
    app.rates.request(address.ip())?;
    if proves_by_signature(request) {
        app.rates.is_trusted(address.ip())?;
        app.rates.proof(address.ip())
    } else if request.method() == Method::POST {
        app.gate.look()
    } else {
        Ok(())
    }
}

/// Whether a signature must be checked for this request: logins, and whatever is no bearer token.
fn proves_by_signature(request: &Request) -> bool {
    let credentials = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let bearer = |credentials: &[u8]| {
        credentials.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
    };
    let path = request.uri().path();
    // A token is revoked with itself: no signature, and a good token works whatever others did.
    let logs_in = path.starts_with("/v1/auth/") && path != "/v1/auth/revoke";
    logs_in || credentials.is_some_and(|it| !bearer(it))
}

/// Runs each request to its end in a task of its own: a client that hangs up or a deadline that passes
/// cannot suppress its record, and a panic becomes an answer.
async fn answered(app: &App, context: Context, mut request: Request, next: Next, span: &Span) -> Response {
    let deadline = Instant::now() + app.service.deadline();
    let id = context.request();
    let operation = operation_in(&request);
    let method_known = matches!(*request.method(), Method::GET | Method::POST);
    request.extensions_mut().insert(context.clone());
    request.extensions_mut().insert(Deadline(deadline.into_std()));

    let response = if method_known {
        let task = tokio::spawn(next.run(request).instrument(span.clone()));
        match timeout_at(deadline, task).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(panic)) => Err(Failure::internal(panic)),
            // The operation goes on and leaves its own record.
            Err(_) => return error::answer(&Failure::too_late(), id),
        }
    } else {
        Err(wrong_method())
    };
    span.in_scope(|| match response.map(error::failure_in) {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) | Err(failure) => {
            let failure = match operation {
                Some(operation) => app.service.refuse(operation, &context, Asked::default(), failure),
                None => failure,
            };
            error::answer(&unless_too_often(app, context.peer(), failure), id)
        }
    })
}

/// Credentials that were refused count against their address; the refusal itself is on record already.
fn unless_too_often(app: &App, peer: Peer, failure: Failure) -> Failure {
    match peer {
        Peer::Tcp(address) if error::status(failure.code()) == StatusCode::UNAUTHORIZED => {
            app.rates.failure(address.ip()).err().unwrap_or(failure)
        }
        Peer::Local | Peer::Tcp(_) => failure,
    }
}

pub(crate) fn wrong_method() -> Failure {
    Failure::new(Code::MethodNotAllowed, "this path does not take this method")
}
