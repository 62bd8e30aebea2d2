//! Who asks, under which request id, from where.

use std::net::SocketAddr;

use crate::auth::{AccessTokenId, Caller, CertificateFingerprint, Subject};
use crate::request_id::RequestId;
use audit_log::{Actor, ActorKind};

/// The other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The machine's own operator, on the socket in the data directory or in this very process.
    Local,
    /// A client over TCP.
    Tcp(SocketAddr),
}

/// The facts about one request that every operation needs.
#[derive(Clone, Debug)]
pub struct Context {
    request: RequestId,
    peer: Peer,
    /// The client's certificate, verified, where it showed one.
    certificate: Option<CertificateFingerprint>,
    /// `None` as long as nobody was recognised.
    caller: Option<Caller>,
    /// The token that was shown where it does not work.
    shown: Option<(AccessTokenId, Subject)>,
}

impl Context {
    /// The context of a request whose caller is not known (yet).
    pub const fn anonymous(request: RequestId, peer: Peer) -> Self {
        Self { request, peer, certificate: None, caller: None, shown: None }
    }

    /// The same request over a connection whose client showed this certificate.
    pub fn certified(self, certificate: Option<CertificateFingerprint>) -> Self {
        Self { certificate, ..self }
    }

    /// The context of something that the service does by itself: schedules, recovery.
    pub fn service(request: RequestId) -> Self {
        Self::anonymous(request, Peer::Local).recognised(Caller::service())
    }

    /// The same request, with its caller recognised.
    pub fn recognised(self, caller: Caller) -> Self {
        Self { caller: Some(caller), ..self }
    }

    /// The same request, refused, with the token that it showed: its owner wants to know where it turned up.
    pub fn showing(self, token: AccessTokenId, subject: Subject) -> Self {
        Self { shown: Some((token, subject)), ..self }
    }

    /// The request id.
    pub const fn request(&self) -> RequestId {
        self.request
    }

    /// The other end of the connection.
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// The client's certificate, if it showed one.
    pub const fn certificate(&self) -> Option<CertificateFingerprint> {
        self.certificate
    }

    /// The caller, if recognised.
    pub const fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// The words of the audit log for all this.
    pub(in crate::service) fn actor(&self) -> Actor {
        let (kind, eoa, token) = match (&self.caller, &self.shown) {
            (None, None) => (ActorKind::Anonymous, None, None),
            (None, Some((token, Subject::Any))) => (ActorKind::Token, None, Some(token)),
            (None, Some((token, Subject::Eoa(eoa)))) => (ActorKind::Token, Some(*eoa), Some(token)),
            (Some(caller), _) => {
                let kind = if caller.is_local() {
                    ActorKind::Local
                } else if caller.is_service() {
                    ActorKind::Service
                } else if caller.is_signed() {
                    ActorKind::Operator
                } else {
                    ActorKind::Token
                };
                (kind, caller.eoa(), caller.token_id())
            }
        };
        let eoa = eoa.map(|eoa| eoa.to_string());
        Actor { kind, eoa, token_id: token.map(ToString::to_string), address: self.address() }
    }

    /// From where the request came; none for the machine's own operator.
    pub const fn address(&self) -> Option<SocketAddr> {
        match self.peer {
            Peer::Local => None,
            Peer::Tcp(address) => Some(address),
        }
    }
}
