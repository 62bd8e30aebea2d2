//! Signed requests: reads the body, within its limits, and checks the signature over the whole request.
//!
//! What can be refused without the body is refused without it. Not for: access tokens, which are checked before a
//! byte of the body is read (`extract::authenticated`).

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::auth::{Credentials, Unauthenticated};
use crate::http::app::App;
use crate::http::extract::body;
use crate::service::{Context, ServiceError};

const SCHEME: &str = "EIP712 ";

/// Recognises the caller of a signed request and passes the request on with its body whole.
pub(crate) async fn recognise(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(context) = request.extensions().get::<Context>().cloned() else {
        return ServiceError::internal("a request bypassed the middleware").into_response();
    };
    let credentials = match credentials(request.headers()) {
        Ok(Some(text)) if !context.peer().is_local() => Credentials::parse(text),
        // The local socket needs no signature, and two headers are refused later.
        _ => return next.run(request).await,
    };
    let credentials = credentials.map_err(|error| ServiceError::from(Unauthenticated::from(error)));
    let operator = credentials.as_ref().ok().map(|credentials| credentials.operator);
    match recognised(&app, &context, credentials, request).await {
        Ok(request) => next.run(request).await,
        Err(failure) => app.services.signed_requests.refuse(&context, operator, failure).into_response(),
    }
}

async fn recognised(
    app: &App,
    context: &Context,
    credentials: Result<Credentials, ServiceError>,
    request: Request,
) -> Result<Request, ServiceError> {
    // Where no operator may sign, that is the answer, whatever else is wrong.
    app.services.logins.audience()?;
    let credentials = credentials?;
    let now = u64::try_from(app.services.clock().latest().as_second()).unwrap_or_default();
    if !credentials.in_time(now) {
        return Err(Unauthenticated::SignedTimes.into());
    }
    let (mut parts, stream) = request.into_parts();
    let received = body::receive(&parts.headers, stream, app).await?;
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let method = parts.method.as_str();
    let caller = app
        .services
        .signed_requests
        .authenticate(context, &credentials, method, path, &received.bytes)
        .await?;
    parts.extensions.insert(caller);
    Ok(Request::from_parts(parts, Body::from(received.bytes)))
}

/// What follows the scheme, where it is this one and there is one header.
fn credentials(headers: &HeaderMap) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next(), values.next()) else { return Err(()) };
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scheme = text.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    Ok(text.get(SCHEME.len()..).filter(|_| scheme))
}
