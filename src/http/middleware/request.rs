//! What every request passes: id, rate limits, admission, its own task, a deadline, metrics, the record of a refusal.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

use super::reject_delay;
use crate::auth::{CertificateFingerprint, Credentials};
use crate::http::app::{App, ClientCertificate, Deadline, ListTurn, RequestedOperation};
use crate::http::error;
use crate::http::limits::admission::Ticket;
use crate::http::response::holding;
use crate::key::Eoa;
use crate::metrics;
use crate::request_id::RequestId;
use crate::request_text::RequestText;
use crate::service::operation::{Access, Lane, OperationInfo};
use crate::service::{AuditSubject, Context, ErrorCode, Peer, ServiceError};

/// The header that names the request in every response, beside `request_id` in the body of errors.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header in which a local command says the login name of its user.
pub const LOGIN: HeaderName = HeaderName::from_static("avs-kms-login");

/// The operation that a route is for; none where no route matches.
type Operation = Option<&'static OperationInfo>;

/// Gives each request its id, which every response carries in a header, and applies the limits.
pub(crate) async fn process(
    State((app, operation)): State<(App, Operation)>,
    mut request: Request,
    next: Next,
) -> Response {
    // An id of zeros still identifies a response, on a machine without randomness.
    let id = RequestId::random().unwrap_or(RequestId::new([0; 16]));
    let begun = std::time::Instant::now();
    // Routes are for GET and POST; other methods ask for no operation.
    let operation = operation.filter(|_| is_method_known(request.method()));
    let name = operation.map_or("other", |operation| operation.name);
    // A request that the limits refuse costs no span.
    let mut span = Span::none();
    let connection = request.extensions().get::<Peer>().copied();
    let mut response = match client(&app, connection, &request) {
        Err(failure) => error::response(&failure, id),
        Ok(peer) => {
            let certificate = request.extensions_mut().remove::<ClientCertificate>();
            let certificate = certificate.map(|ClientCertificate(fingerprint)| fingerprint);
            let context = Context::anonymous(id, peer).certified(certificate);
            let context = context.logged_in_as(login(peer, &request));
            match check_limits(&app, operation, (peer, certificate), &request) {
                Ok(()) => {
                    // The empty field is filled in when the result is known.
                    span = tracing::info_span!(
                        "request", %id, method = %RequestText(request.method().as_str()),
                        path = %RequestText(request.uri().path()),
                        operation = name, code = tracing::field::Empty
                    );
                    run_request(&app, operation, context, request, next, &span).await
                }
                Err(failure) => error::response(&failure, id),
            }
        }
    };
    let error = response.extensions().get::<error::LoggedError>().copied();
    let code = error.map_or("ok", |error| error.code.as_str());
    metrics::answered(name, code, begun);
    span.record("code", code);
    if let Ok(value) = id.to_string().parse() {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if let Some(delay) = reject_delay::delay(connection, error) {
        tokio::time::sleep(delay).await;
    }
    response
}

/// The login name that a local command says; a client over TCP is not asked.
fn login(peer: Peer, request: &Request) -> Option<String> {
    let said = request.headers().get(LOGIN).filter(|_| peer.is_local())?;
    Some(RequestText(said.to_str().ok()?).to_string())
}

/// Who sent the request: the other end of the connection, or whom a trusted proxy names.
fn client(app: &App, connection: Option<Peer>, request: &Request) -> Result<Peer, ServiceError> {
    match connection {
        Some(Peer::Tcp(address)) => app.proxies.client(address, request.headers()).map(Peer::Tcp),
        Some(local @ Peer::Local(_)) => Ok(local),
        None => Err(ServiceError::internal("a request without a peer")),
    }
}

/// Applies the limits that need nothing of the request but its head. A refusal here leaves no audit record.
fn check_limits(
    app: &App,
    operation: Operation,
    (peer, certificate): (Peer, Option<CertificateFingerprint>),
    request: &Request,
) -> Result<(), ServiceError> {
    let Peer::Tcp(address) = peer else { return Ok(()) };
    let takes_away = operation.is_some_and(|operation| operation.takes_away());
    if takes_away && has_access_token(app, address.ip(), certificate, request) {
        // What others behind this address have used up must not keep its owner from it.
        return app.hosts.check(operation, request.uri(), request.headers());
    }
    app.rates.request(address.ip())?;
    app.hosts.check(operation, request.uri(), request.headers())?;
    let credentials = request.headers().get(header::AUTHORIZATION);
    if needs_signature_check(operation, credentials) {
        if let Some(credentials) = credentials {
            app.rates.check_not_locked_out(claimed_eoa(credentials), address.ip())?;
        }
        app.rates.signature_check(address.ip())
    } else {
        app.admission.check_capacity(lane(operation))
    }
}

/// The lane of a request. One that no route matches is open to all.
fn lane(operation: Operation) -> Lane {
    operation.map_or(Lane::Open, |operation| operation.lane)
}

/// Whether a request is admitted before its handler runs: it has neither credentials nor a body to wait for. Every
/// other one is admitted once both have arrived.
fn is_admitted_at_once(operation: Operation, method: &Method) -> bool {
    operation.is_none_or(|operation| operation.access == Access::Open && *method == Method::GET)
}

/// Whether the request shows an access token that is valid here and now.
fn has_access_token(
    app: &App,
    from: IpAddr,
    certificate: Option<CertificateFingerprint>,
    request: &Request,
) -> bool {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    shown.is_some_and(|shown| app.services.access_tokens.authenticate(Some(shown), from, certificate).is_ok())
}

/// Whether a signature must be checked for this request: logins, and any credentials but an access token.
fn needs_signature_check(operation: Operation, credentials: Option<&HeaderValue>) -> bool {
    let bearer = |credentials: &[u8]| {
        credentials.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
    };
    operation.is_some_and(|operation| operation.checks_signature)
        || credentials.is_some_and(|it| !bearer(it.as_bytes()))
}

/// The EOA that a signed request names, before anything of it is checked.
fn claimed_eoa(credentials: &HeaderValue) -> Option<Eoa> {
    let (_, text) = credentials.to_str().ok()?.split_once(' ')?;
    Credentials::parse(text).ok().map(|credentials| credentials.operator)
}

fn is_method_known(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::POST)
}

/// Runs each request to its end in a task of its own: a client that hangs up or a deadline that passes
/// cannot suppress its record, and a panic becomes a response.
async fn run_request(
    app: &App,
    operation: Operation,
    context: Context,
    mut request: Request,
    next: Next,
    span: &Span,
) -> Response {
    let deadline = Instant::now() + app.services.request_deadline();
    let id = context.request();
    let presented = request.headers().get(header::AUTHORIZATION).cloned();
    let extensions = request.extensions_mut();
    extensions.insert(context.clone());
    extensions.insert(Deadline(deadline.into_std()));
    if let Some(operation) = operation {
        extensions.insert(RequestedOperation(operation));
    }
    // The administrator of this host has no queue.
    let lane = if context.peer().is_local() { Lane::Exempt } else { lane(operation) };
    let ticket = Arc::new(Ticket::new(Arc::clone(&app.admission), lane));
    extensions.insert(Arc::clone(&ticket));
    let response = if is_method_known(request.method()) {
        let at_once = is_admitted_at_once(operation, request.method());
        let (admitted, asking) = (Arc::clone(&ticket), context.clone());
        let lists = request
            .extensions_mut()
            .remove::<ListTurn>()
            .filter(|_| matches!(lane, Lane::Read | Lane::Search));
        let serve = async move {
            if at_once {
                admitted.admit(&asking).await?;
            }
            let turn = match lists {
                Some(ListTurn(turn)) => {
                    timeout_at(deadline, turn.acquire_owned()).await.ok().and_then(Result::ok)
                }
                None => None,
            };
            let response = error::failure_in(next.run(request).await)?;
            let response = match turn {
                Some(turn) => holding(response, turn),
                None => response,
            };
            // A handler that forgot to ask serves no client.
            let bypassed = || ServiceError::internal("a request was served without admission");
            admitted.is_admitted().then_some(response).ok_or_else(bypassed)
        };
        drop(ticket);
        match timeout_at(deadline, tokio::spawn(serve.instrument(span.clone()))).await {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => Err(ServiceError::internal(panic)),
            // The operation continues and leaves its own record.
            Err(_) => return error::response(&ServiceError::too_late(), id),
        }
    } else {
        Err(method_not_allowed())
    };
    span.in_scope(|| match response {
        Ok(response) => response,
        Err(failure) => {
            let failure = match operation {
                Some(operation) if operation.records_refusals => {
                    app.services.refuse(operation, &context, AuditSubject::default(), failure)
                }
                Some(_) | None => failure,
            };
            error::response(&record_auth_failure(app, presented.as_ref(), context.peer(), failure), id)
        }
    })
}

/// Counts credentials that were presented and refused against their address and the EOA that they name. A request
/// without any guesses nothing. A login names its EOA in the body: `routes::auth` counts it.
fn record_auth_failure(
    app: &App,
    presented: Option<&HeaderValue>,
    peer: Peer,
    failure: ServiceError,
) -> ServiceError {
    match (peer, presented) {
        (Peer::Tcp(address), Some(credentials))
            if error::status(failure.code()) == StatusCode::UNAUTHORIZED =>
        {
            let counted = app.rates.record_auth_failure(claimed_eoa(credentials), address.ip());
            counted.err().unwrap_or(failure)
        }
        (Peer::Local(_) | Peer::Tcp(_), _) => failure,
    }
}

pub(crate) fn method_not_allowed() -> ServiceError {
    ServiceError::new(ErrorCode::MethodNotAllowed, "this path does not support this method")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::operation::{AUTH_CHALLENGE, AUTH_REVOKE, AUTH_TYPED_DATA, AUTH_VERIFY, KEYS_LIST};

    #[test]
    fn only_requests_whose_signature_is_checked_count_as_signature_checks() {
        let counts = |operation, credentials: Option<&'static str>| {
            needs_signature_check(Some(operation), credentials.map(HeaderValue::from_static).as_ref())
        };
        let (bearer, signed) = (Some("bearer kms_0"), Some("EIP712 operator=0x0"));
        assert!(counts(&AUTH_CHALLENGE, None));
        assert!(counts(&AUTH_VERIFY, None));
        assert!(counts(&KEYS_LIST, signed));
        assert!(!counts(&KEYS_LIST, bearer));
        assert!(!counts(&AUTH_REVOKE, bearer));
        assert!(!counts(&AUTH_TYPED_DATA, None), "it only describes what to sign");
    }
}
