//! The extractor that every call with a caller starts with: it authenticates, or the call never begins.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Instant;

use axum::extract::{FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use crate::auth::{Caller, Unauthenticated, authenticate};
use crate::http::app::{App, Deadline};
use crate::http::extract::object::Members;
use crate::http::extract::operation_name::operation_of;
use crate::http::limits::admission::Permit;
use crate::service::{Asked, Context, Failure, Peer, Service};

/// A recognised caller and what serves the call.
pub(crate) struct Call {
    app: App,
    context: Context,
    deadline: Instant,
    /// Held from when the request is understood until its answer is made.
    permit: OnceLock<Permit>,
}

impl FromRequestParts<App> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let missing = || Failure::internal("a request came past the middleware");
        let context = parts.extensions.get::<Context>().cloned().ok_or_else(missing)?;
        let Deadline(deadline) = *parts.extensions.get::<Deadline>().ok_or_else(missing)?;
        let caller = match context.peer() {
            Peer::Local => Caller::local(),
            Peer::Tcp(_) if parts.extensions.get::<Caller>().is_some() => {
                // Put there by `signed`, which has read the body.
                parts.extensions.remove::<Caller>().ok_or_else(missing)?
            }
            Peer::Tcp(address) => {
                let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
                let header = headers.next().map(|value| value.to_str().unwrap_or_default());
                // Two headers: which one another reader would believe is anybody's guess.
                if headers.next().is_some() {
                    return Err(Unauthenticated::Malformed.into());
                }
                let from = Some(address.ip());
                let mut shown = None;
                // Pinned to another certificate it is as unknown as a made-up one: a thief learns nothing.
                let caller = authenticate(header, from, Timestamp::now(), |hash| {
                    let record = app.service.store().token(hash);
                    let record = record.filter(|record| record.works_with(context.certificate()));
                    shown = record.as_ref().map(|record| (record.id.clone(), record.subject));
                    record
                });
                match (caller, shown) {
                    (Ok(caller), _) => caller,
                    (Err(Unauthenticated::Elsewhere), Some((token, subject))) => {
                        return Err(stolen(app, context.showing(token, subject), address.ip(), parts));
                    }
                    (Err(error), _) => return Err(error.into()),
                }
            }
        };
        app.service.used(&caller);
        if let Some(token) = caller.token_id() {
            app.rates.token(token).map_err(Failure::unrecorded)?;
        }
        let permit = OnceLock::new();
        Ok(Self { app: app.clone(), context: context.recognised(caller), deadline, permit })
    }
}

/// A token that turns up where it does not work may be in a thief's hands: the record names it, and it counts as
/// credentials that were refused.
fn stolen(app: &App, context: Context, from: IpAddr, parts: &Parts) -> Failure {
    let failure = Failure::from(Unauthenticated::Elsewhere);
    let operation = operation_of(&parts.method, parts.extensions.get()).unwrap_or("other");
    let failure = app.service.refuse(operation, &context, Asked::default(), failure);
    app.rates.record_auth_failure(from).err().map_or(failure, Failure::unrecorded)
}

impl Call {
    pub(crate) fn service(&self) -> &Service {
        &self.app.service
    }

    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }

    /// Reads and parses the body, then waits for its turn to be worked on; a refusal is recorded under the caller's name.
    pub(crate) async fn parse<T>(
        &self,
        operation: &'static str,
        request: Request,
        parse: impl FnOnce(&mut Members) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.parse_then(operation, request, parse, self.app.admission.acquire()).await
    }

    /// The same for a change of keys, which waits for other changes.
    pub(crate) async fn parse_change<T>(
        &self,
        operation: &'static str,
        request: Request,
        parse: impl FnOnce(&mut Members) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.parse_then(operation, request, parse, self.app.admission.acquire_for_key_change()).await
    }

    /// The turn to search the log; kept until the search is over.
    pub(crate) async fn search(&self) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        match self.context.peer() {
            Peer::Local => Ok(None),
            Peer::Tcp(_) => {
                Ok(Some(self.app.admission.acquire_for_search().await.map_err(Failure::unrecorded)?))
            }
        }
    }

    async fn parse_then<T>(
        &self,
        operation: &'static str,
        request: Request,
        parse: impl FnOnce(&mut Members) -> Result<T, Failure>,
        turn: impl Future<Output = Result<Permit, Failure>>,
    ) -> Result<T, Failure> {
        let parsed = async {
            let mut members = Members::read(request, self.app.body_timeout).await?;
            let parsed = parse(&mut members)?;
            members.finish()?;
            Ok(parsed)
        };
        let parsed = self.checked(operation, parsed.await)?;
        if self.context.peer() != Peer::Local {
            // Only a second body would find it taken, and calls have one.
            let _ = self.permit.set(turn.await.map_err(Failure::unrecorded)?);
        }
        Ok(parsed)
    }

    /// Records a refusal under the caller's name.
    pub(crate) fn checked<T>(
        &self,
        operation: &'static str,
        result: Result<T, Failure>,
    ) -> Result<T, Failure> {
        result.map_err(|failure| self.service().refuse(operation, &self.context, Asked::default(), failure))
    }
}
