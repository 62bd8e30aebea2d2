//! Extractor of every call that has a caller: it authenticates the request, or the call never begins.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Method, header};
use serde::de::DeserializeOwned;

use super::body;
use crate::auth::{Caller, Unauthenticated};
use crate::http::app::{App, Deadline, RequestedOperation};
use crate::http::limits::admission::Ticket;
use crate::service::operation::OperationInfo;
use crate::service::{AuditSubject, Context, Peer, Rejected, ServiceError, Services};

/// An authenticated caller, the operation it asks for, and what serves the call.
pub(crate) struct AuthenticatedRequest {
    app: App,
    operation: &'static OperationInfo,
    context: Context,
    deadline: Instant,
    /// Admitted once the request has arrived whole; held until its response is made.
    ticket: Arc<Ticket>,
}

impl FromRequestParts<App> for AuthenticatedRequest {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ServiceError> {
        let missing = || ServiceError::internal("a request bypassed the middleware");
        let context = parts.extensions.get::<Context>().cloned().ok_or_else(missing)?;
        let Deadline(deadline) = *parts.extensions.get::<Deadline>().ok_or_else(missing)?;
        let RequestedOperation(operation) = *parts.extensions.get().ok_or_else(missing)?;
        let caller = match context.peer() {
            Peer::Local(_) => Caller::local(),
            Peer::Tcp(_) if parts.extensions.get::<Caller>().is_some() => {
                // Put there by `request_signature`, which has read the body.
                parts.extensions.remove::<Caller>().ok_or_else(missing)?
            }
            Peer::Tcp(address) => {
                let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
                let header = headers.next().map(|value| value.to_str().unwrap_or_default());
                // Two headers: readers may differ in which one they use.
                if headers.next().is_some() {
                    return Err(Unauthenticated::Malformed.into());
                }
                let tokens = &app.services.access_tokens;
                match tokens.authenticate(header, address.ip(), context.certificate()) {
                    Ok(caller) => caller,
                    Err(Rejected { misplaced: Some((token, subject)), .. }) => {
                        let context = context.showing(token, subject);
                        return Err(token_used_from_wrong_network(app, operation, &context));
                    }
                    Err(Rejected { error, .. }) => return Err(error.into()),
                }
            }
        };
        app.services.access_tokens.touch(&caller);
        if let Some(token) = caller.token_id().filter(|_| !operation.takes_away()) {
            app.rates.token(token).map_err(ServiceError::unrecorded)?;
        }
        let context = context.recognised(caller);
        let ticket = parts.extensions.get::<Arc<Ticket>>().map(Arc::clone).ok_or_else(missing)?;
        // No body is waited for.
        if parts.method == Method::GET {
            ticket.admit(&context).await?;
        }
        Ok(Self { app: app.clone(), operation, context, deadline, ticket })
    }
}

/// An access token that is used from another network may be stolen: the record names it, the response does not.
fn token_used_from_wrong_network(
    app: &App,
    operation: &'static OperationInfo,
    context: &Context,
) -> ServiceError {
    app.services.refuse(operation, context, AuditSubject::default(), Unauthenticated::WrongNetwork.into())
}

impl AuthenticatedRequest {
    pub(crate) fn services(&self) -> &Services {
        &self.app.services
    }

    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }

    /// Reads and parses the body, then waits to be admitted; a refusal is recorded under the caller's name.
    pub(crate) async fn parse<B: DeserializeOwned, T>(
        &self,
        request: Request,
        convert: impl FnOnce(B) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let body = body::read(request, &self.app).await;
        let parsed = self.checked(body.and_then(convert))?;
        self.ticket.admit_caller(&self.context).await?;
        Ok(parsed)
    }

    /// Records a refusal under the caller's name.
    pub(crate) fn checked<T>(&self, result: Result<T, ServiceError>) -> Result<T, ServiceError> {
        let refuse =
            |failure| self.services().refuse(self.operation, &self.context, AuditSubject::default(), failure);
        result.map_err(refuse)
    }
}
