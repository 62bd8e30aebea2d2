//! Endpoints and the router that is made of them: the only way from a path to a handler.
//!
//! An endpoint names its operation, so that a route without one does not compile. Metrics, spans, audit records of
//! refusals, authentication and the OpenAPI document take from the operation what they need. [`ApiRouter`] can be
//! made of endpoints alone, and the listeners serve nothing else.

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use tower::ServiceExt;

use crate::http::app::App;
use crate::http::middleware::{request, request_signature};
use crate::http::openapi::description::Description;
use crate::service::operation::{Access, OperationInfo};
use crate::service::{ErrorCode, Peer, ServiceError};

/// A method and a path, the operation that they ask for, and its handler.
pub(crate) struct Endpoint {
    pub(crate) operation: &'static OperationInfo,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// What the OpenAPI document says of it; none for the calls of the local socket.
    pub(crate) description: Option<Description>,
    /// Whether a signed request is recognised: a nonce and a durable record are for calls that have a caller.
    recognises_caller: bool,
    handler: MethodRouter<App>,
}

impl Endpoint {
    pub(crate) fn get<H, T>(operation: &'static OperationInfo, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new(operation, Method::GET, path, get(handler))
    }

    pub(crate) fn post<H, T>(operation: &'static OperationInfo, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new(operation, Method::POST, path, post(handler))
    }

    fn new(
        operation: &'static OperationInfo,
        method: Method,
        path: &'static str,
        handler: MethodRouter<App>,
    ) -> Self {
        let recognises_caller = needs_caller(operation);
        Self { operation, method, path, description: None, recognises_caller, handler }
    }

    pub(crate) fn describe(self, description: Description) -> Self {
        Self { description: Some(description), ..self }
    }

    pub(crate) fn is_local(&self) -> bool {
        self.operation.access == Access::Local
    }

    /// Lets a caller show a signed request where none is needed, to ask for more.
    pub(crate) fn with_optional_caller(self) -> Self {
        Self { recognises_caller: true, ..self }
    }
}

/// Whether a call is answered to authenticated callers only.
pub(crate) const fn needs_caller(operation: &OperationInfo) -> bool {
    match operation.access {
        Access::Caller | Access::Local | Access::Own(_) | Access::Scope(_) => true,
        Access::Internal | Access::Open => false,
    }
}

/// The router of a listener.
#[derive(Clone, Debug)]
pub struct ApiRouter(Router);

impl ApiRouter {
    pub(crate) fn new(endpoints: impl IntoIterator<Item = Endpoint>, app: &App) -> Self {
        let mut router = Router::new();
        for endpoint in endpoints {
            let Endpoint { operation, path, recognises_caller, mut handler, .. } = endpoint;
            if recognises_caller {
                handler = handler.layer(from_fn_with_state(app.clone(), request_signature::recognise));
            }
            let process = from_fn_with_state((app.clone(), Some(operation)), request::process);
            router = router.route(path, handler.layer(process));
        }
        let process = from_fn_with_state((app.clone(), None), request::process);
        let not_found = async || ServiceError::new(ErrorCode::NotFound, "there is no such path");
        let router = router.fallback(Handler::<_, App>::layer(not_found, process.clone()));
        let router = router.method_not_allowed_fallback(Handler::<_, App>::layer(
            async || request::method_not_allowed(),
            process,
        ));
        Self(router.with_state(app.clone()))
    }

    /// Responds to one request of this peer.
    pub async fn respond(self, mut request: Request, peer: Peer) -> Response {
        request.extensions_mut().insert(peer);
        match self.0.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
