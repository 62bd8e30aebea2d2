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
use crate::http::middleware::reject_delay;
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
    if let Some(delay) = reject_delay::delay(peer, answered) {
        tokio::time::sleep(delay).await;
    }
    response
}

/// The header that names the request in every answer, beside `request_id` in the body of errors.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is refused here was not looked at, so it leaves no record.
fn admitted(app: &App, peer: Peer, request: &Request) -> Result<(), Failure> {
    let Peer::Tcp(address) = peer else { return Ok(()) };
    app.rates.request(address.ip())?;
    if needs_signature_check(
        request.method(),
        request.uri().path(),
        request.headers().get(header::AUTHORIZATION),
    ) {
        app.rates.check_not_locked_out(address.ip())?;
        app.rates.signature_check(address.ip())
    } else if request.method() == Method::POST {
        app.admission.check_capacity()
    } else {
        Ok(())
    }
}

/// Whether a signature must be checked for this request: logins, and any credentials but an access token.
fn needs_signature_check(method: &Method, path: &str, credentials: Option<&HeaderValue>) -> bool {
    let bearer = |credentials: &[u8]| {
        credentials.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
    };
    let login = matches!((method, path), (&Method::POST, "/v1/auth/challenge" | "/v1/auth/verify"));
    login || credentials.is_some_and(|it| !bearer(it.as_bytes()))
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
            app.rates.record_auth_failure(address.ip()).err().unwrap_or(failure)
        }
        Peer::Local | Peer::Tcp(_) => failure,
    }
}

pub(crate) fn wrong_method() -> Failure {
    Failure::new(Code::MethodNotAllowed, "this path does not take this method")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_whose_signature_is_checked_count_as_signature_checks() {
        let counts = |method, path, credentials: Option<&'static str>| {
            let credentials = credentials.map(HeaderValue::from_static);
            needs_signature_check(&method, path, credentials.as_ref())
        };
        let (bearer, signed) = (Some("bearer kms_0"), Some("EIP712 operator=0x0"));
        assert!(counts(Method::POST, "/v1/auth/challenge", None));
        assert!(counts(Method::POST, "/v1/auth/verify", None));
        assert!(counts(Method::GET, "/v1/keys/0x0", signed));
        assert!(!counts(Method::GET, "/v1/keys/0x0", bearer));
        assert!(!counts(Method::POST, "/v1/auth/revoke", bearer));
        assert!(!counts(Method::GET, "/v1/auth/typed-data", None), "it only describes what to sign");
    }
}
