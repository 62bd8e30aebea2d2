//! Context of a request: its caller, its id, and where it came from.

use std::net::SocketAddr;

use crate::auth::{AccessTokenId, Caller, CertificateFingerprint, Subject};
use crate::key::Eoa;
use crate::request_id::RequestId;
use audit_log::{Actor, ActorKind, LocalUser};

/// The other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The administrator of this host, on the socket in the data directory or in this process.
    Local(LocalProcess),
    /// A client over TCP.
    Tcp(SocketAddr),
}

impl Peer {
    /// Whether it is the administrator of this host.
    pub const fn is_local(self) -> bool {
        matches!(self, Self::Local(_))
    }
}

/// A process of this host, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalProcess {
    /// Its user.
    pub uid: u32,
    /// Its id, if the kernel told it.
    pub pid: Option<u32>,
}

impl LocalProcess {
    /// This process.
    pub fn this() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), pid: Some(std::process::id()) }
    }
}

/// What every operation needs to know of its request.
#[derive(Clone, Debug)]
pub struct Context {
    request: RequestId,
    peer: Peer,
    /// The client's verified certificate, if it presented one.
    certificate: Option<CertificateFingerprint>,
    /// `None` before authentication.
    caller: Option<Caller>,
    /// An access token that was presented from the wrong network.
    shown: Option<(AccessTokenId, Subject)>,
    /// The login name that a local command says.
    login: Option<String>,
}

impl Context {
    /// The context of a request before authentication.
    pub const fn anonymous(request: RequestId, peer: Peer) -> Self {
        Self { request, peer, certificate: None, caller: None, shown: None, login: None }
    }

    /// The same request of a local command that says this login name.
    pub fn logged_in_as(self, login: Option<String>) -> Self {
        Self { login, ..self }
    }

    /// The same request over a connection with this client certificate.
    pub fn certified(self, certificate: Option<CertificateFingerprint>) -> Self {
        Self { certificate, ..self }
    }

    /// The context of an operation of the service itself: schedules, recovery.
    pub fn service(request: RequestId) -> Self {
        Self::anonymous(request, Peer::Local(LocalProcess::this())).recognised(Caller::service())
    }

    /// The same request after authentication.
    pub fn recognised(self, caller: Caller) -> Self {
        Self { caller: Some(caller), ..self }
    }

    /// The same request, refused, with the access token that it presented: the audit record names it.
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

    /// The client's certificate, if it presented one.
    pub const fn certificate(&self) -> Option<CertificateFingerprint> {
        self.certificate
    }

    /// The caller, after authentication.
    pub const fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// The EOA of an access token that was presented from the wrong network.
    pub(in crate::service) const fn shown_eoa(&self) -> Option<Eoa> {
        match &self.shown {
            Some((_, Subject::Eoa(eoa))) => Some(*eoa),
            Some((_, Subject::Any)) | None => None,
        }
    }

    /// The actor of audit records.
    pub(in crate::service) fn actor(&self) -> Actor {
        let (kind, eoa, token) = match (&self.caller, &self.shown) {
            (None, None) => (ActorKind::Anonymous, None, None),
            (None, Some((token, Subject::Any))) => (ActorKind::AccessToken, None, Some(token)),
            (None, Some((token, Subject::Eoa(eoa)))) => (ActorKind::AccessToken, Some(*eoa), Some(token)),
            (Some(caller), _) => {
                let kind = if caller.is_local() {
                    ActorKind::Local
                } else if caller.is_service() {
                    ActorKind::Service
                } else if caller.is_signed() {
                    ActorKind::Operator
                } else {
                    ActorKind::AccessToken
                };
                (kind, caller.eoa(), caller.token_id())
            }
        };
        let eoa = eoa.map(|eoa| eoa.to_string());
        let local = match self.peer {
            Peer::Local(LocalProcess { uid, pid }) if kind == ActorKind::Local => {
                Some(LocalUser { uid, login: self.login.clone(), pid })
            }
            Peer::Local(_) | Peer::Tcp(_) => None,
        };
        Actor { kind, eoa, token_id: token.map(ToString::to_string), address: self.address(), local }
    }

    /// The client's address; `None` for the administrator of this host.
    pub const fn address(&self) -> Option<SocketAddr> {
        match self.peer {
            Peer::Local(_) => None,
            Peer::Tcp(address) => Some(address),
        }
    }
}
