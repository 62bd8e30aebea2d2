//! Table of operations: name, access, and what the audit log records, each described once.
//!
//! Router, metrics, OpenAPI, authorisation and audit records read it. Not for: paths and methods (`http`).

mod lane;

use crate::auth::Scope;
use crate::key::{Eoa, KeyName};

pub use lane::Lane;

/// One operation of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationInfo {
    /// Its name in audit records, metrics and spans.
    pub name: &'static str,
    /// Which callers may ask for it.
    pub access: Access,
    /// Whether an access token is not enough: it cannot be undone, or undoes what a thief must not undo.
    pub irrevocable: bool,
    /// What its audit record names as the subject of a refusal.
    pub subject: Subject,
    /// Whether a refused request leaves an audit record.
    pub records_refusals: bool,
    /// Whether the service checks a signature of the client before it does anything else.
    pub checks_signature: bool,
    /// Which requests it shares a concurrency limit and a queue with.
    pub lane: Lane,
}

/// Which callers may ask for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Callers with this scope, for keys of their own EOA.
    Scope(Scope),
    /// Callers with this scope; they read what concerns their own EOA.
    Own(Scope),
    /// Every authenticated caller, for its own credential.
    Caller,
    /// The administrator of this host, on the local socket.
    Local,
    /// Every client, without credentials.
    Open,
    /// The service itself; no route leads here.
    Internal,
}

/// What the record of a refusal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One key, by owner and name.
    Key,
    /// The keys of one EOA.
    Owner,
    /// Nothing: the operation is about no key.
    None,
}

impl OperationInfo {
    const fn on_key(name: &'static str, scope: Scope) -> Self {
        Self::new(name, Access::Scope(scope), Subject::Key)
    }

    const fn local(name: &'static str) -> Self {
        Self::new(name, Access::Local, Subject::None)
    }

    const fn internal(name: &'static str) -> Self {
        Self::new(name, Access::Internal, Subject::None)
    }

    const fn open(name: &'static str) -> Self {
        Self { records_refusals: false, ..Self::new(name, Access::Open, Subject::None) }
    }

    const fn new(name: &'static str, access: Access, subject: Subject) -> Self {
        let (irrevocable, checks_signature) = (false, false);
        let (records_refusals, lane) = (true, usual_lane(access));
        Self { name, access, irrevocable, subject, records_refusals, checks_signature, lane }
    }

    const fn on_lane(self, lane: Lane) -> Self {
        Self { lane, ..self }
    }

    /// Whether it only takes away: no queue, limit or full disk of others delays or refuses it.
    pub const fn takes_away(&self) -> bool {
        matches!(self.lane, Lane::TakeAway)
    }

    const fn irrevocable(self) -> Self {
        Self { irrevocable: true, ..self }
    }

    /// The scope that a caller needs, if the operation needs one.
    pub const fn scope(&self) -> Option<Scope> {
        match self.access {
            Access::Scope(scope) | Access::Own(scope) => Some(scope),
            Access::Caller | Access::Local | Access::Open | Access::Internal => None,
        }
    }
}

/// The lane of operations that need no other.
const fn usual_lane(access: Access) -> Lane {
    match access {
        Access::Scope(Scope::KeysCreate | Scope::KeysRotate | Scope::KeysDestroy) => Lane::Change,
        Access::Scope(Scope::KeysRead) | Access::Own(_) => Lane::Read,
        Access::Scope(_) | Access::Caller | Access::Local | Access::Internal => Lane::Use,
        Access::Open => Lane::Open,
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $constant:ident = $info:expr;)*) => {
        $($(#[$doc])* pub const $constant: OperationInfo = $info;)*

        /// Every operation.
        pub const ALL: &[&OperationInfo] = &[$(&$constant),*];
    };
}

operations! {
    /// Get or create a key.
    KEYS_CREATE = OperationInfo::on_key("keys.create", Scope::KeysCreate);
    /// Make the next version of a key.
    KEYS_ROTATE = OperationInfo::on_key("keys.rotate", Scope::KeysRotate);
    /// Make a pending version the current one.
    KEYS_ACTIVATE = OperationInfo::on_key("keys.activate", Scope::KeysRotate);
    /// Retire a version: it signs no longer.
    KEYS_RETIRE = OperationInfo::on_key("keys.retire", Scope::KeysRotate);
    /// Make a retired version retiring again.
    KEYS_UNRETIRE = OperationInfo::on_key("keys.unretire", Scope::KeysRotate).irrevocable();
    /// Disable a version until it is enabled again.
    KEYS_DISABLE = OperationInfo::on_key("keys.disable", Scope::KeysRotate).on_lane(Lane::TakeAway);
    /// Enable a disabled version.
    KEYS_ENABLE = OperationInfo::on_key("keys.enable", Scope::KeysRotate);
    /// Schedule the destruction of a version.
    KEYS_DESTROY = OperationInfo::on_key("keys.destroy", Scope::KeysDestroy).irrevocable();
    /// Cancel a scheduled destruction.
    KEYS_RESTORE = OperationInfo::on_key("keys.restore", Scope::KeysDestroy).irrevocable();
    /// Destroy a version whose date has come; the scheduler alone does it.
    KEYS_DESTROY_DUE = OperationInfo::on_key("keys.destroy_due", Scope::KeysDestroy).irrevocable();
    /// Set or end a rotation schedule.
    KEYS_SCHEDULE_SET = OperationInfo::on_key("keys.schedule_set", Scope::KeysRotate);
    /// Read the rotation schedules of an EOA.
    KEYS_SCHEDULE_GET = OperationInfo::new("keys.schedule_get", Access::Scope(Scope::KeysRead), Subject::Owner);
    /// Show one key with its versions.
    KEYS_SHOW = OperationInfo::on_key("keys.show", Scope::KeysRead);
    /// List the keys of an EOA.
    KEYS_LIST = OperationInfo::new("keys.list", Access::Scope(Scope::KeysRead), Subject::Owner);
    /// List all keys.
    KEYS_LIST_ALL = OperationInfo::local("keys.list_all");
    /// Set what a key allows.
    KEYS_SET_POLICY = OperationInfo::local("keys.set_policy");
    /// Read events of the caller's keys.
    EVENTS_READ = OperationInfo::new("events.read", Access::Own(Scope::KeysRead), Subject::None);

    /// Multiply a raw point.
    SCALAR_MUL = OperationInfo::on_key("scalar_mul", Scope::SignPoint);
    /// Sign a raw digest.
    SIGN_DIGEST = OperationInfo::on_key("sign.digest", Scope::SignDigest);
    /// Sign a registration with a registry contract.
    SIGN_REGISTRATION = OperationInfo::on_key("sign.registration", Scope::SignTyped);
    /// Sign a certificate of an operator table.
    SIGN_CERTIFICATE = OperationInfo::on_key("sign.certificate", Scope::SignTyped);

    /// Ask for a login challenge.
    AUTH_CHALLENGE = OperationInfo {
        checks_signature: true, ..OperationInfo::open("auth.challenge").on_lane(Lane::Login)
    };
    /// Exchange a signed challenge for an access token.
    AUTH_VERIFY = OperationInfo {
        records_refusals: true, checks_signature: true, ..OperationInfo::open("auth.verify").on_lane(Lane::Login)
    };
    /// Revoke the access token that the request carries.
    AUTH_REVOKE = OperationInfo::new("auth.revoke", Access::Caller, Subject::None).on_lane(Lane::TakeAway);
    /// Read what to sign for a signed request.
    AUTH_TYPED_DATA = OperationInfo::open("auth.typed_data");
    /// Accept or refuse the signature of a signed request.
    AUTH_REQUEST = OperationInfo::internal("auth.request");

    /// Read audit records that concern the caller.
    AUDIT_READ = OperationInfo::new("audit.read", Access::Own(Scope::AuditRead), Subject::None).on_lane(Lane::Search);
    /// Read the newest checkpoint.
    AUDIT_CHECKPOINT = OperationInfo::open("audit.checkpoint");
    /// Read an inclusion or consistency proof.
    AUDIT_PROOF = OperationInfo::open("audit.proof").on_lane(Lane::Proof);
    /// Accept that the log is older than a known checkpoint.
    AUDIT_ROLLBACK_ACCEPTED = OperationInfo::internal("audit.rollback_accepted");
    /// Accept that the clock is behind the newest audit record.
    AUDIT_CLOCK_SET_BACK_ACCEPTED = OperationInfo::internal("audit.clock_set_back_accepted");

    /// Issue an access token.
    ACCESS_TOKENS_ISSUE = OperationInfo::local("access_tokens.issue");
    /// List access tokens.
    ACCESS_TOKENS_LIST = OperationInfo::local("access_tokens.list");
    /// Revoke access tokens.
    ACCESS_TOKENS_REVOKE = OperationInfo::local("access_tokens.revoke").on_lane(Lane::TakeAway);

    /// Freeze the service: no key signs until it ends.
    SERVICE_FREEZE = OperationInfo::local("service.freeze").on_lane(Lane::TakeAway);
    /// End the freeze.
    SERVICE_UNFREEZE = OperationInfo::local("service.unfreeze");

    /// Record work that the command line did on the files.
    MAINTENANCE_NOTE = OperationInfo::local("maintenance.note");
    /// The command line copied keys, log and token into an archive.
    BACKUP = OperationInfo::local("backup");
    /// Sign the manifest of an archive that the command line writes.
    BACKUP_SIGN = OperationInfo::local("backup.sign");
    /// The command line restored an archive.
    RESTORE = OperationInfo::local("restore");
    /// The command line compressed completed segments of the log.
    AUDIT_COMPRESS = OperationInfo::local("audit.compress");
    /// The command line moves all keys to another key-encryption key.
    REWRAP = OperationInfo::local("rewrap");
    /// A start refused the store: it was changed from outside the service.
    STORE_REFUSED = OperationInfo::internal("store.refused");
    /// Go on from an older copy of the store.
    STORE_ROLLBACK_ACCEPTED = OperationInfo::internal("store.rollback_accepted");
    /// A start took the token from another process.
    TOKEN_TAKEN_OVER = OperationInfo::internal("hsm.taken_over");
    /// How many refusals of a minute have no record of their own.
    REFUSALS_COUNTED = OperationInfo::internal("refusals.counted");
    /// How many permitted reads of a minute have no record of their own.
    READS_COUNTED = OperationInfo::internal("reads.counted");
    /// The service read its configuration again.
    SERVICE_RELOAD = OperationInfo::internal("service.reload");

    /// Whether the process answers.
    HEALTH = OperationInfo::open("service.health").on_lane(Lane::Exempt);
    /// Whether the service can sign.
    READY = OperationInfo::open("service.ready").on_lane(Lane::Exempt);
    /// The program and its version.
    VERSION = OperationInfo::open("service.version").on_lane(Lane::Exempt);
    /// Metrics in Prometheus' text form.
    METRICS = OperationInfo::open("service.metrics").on_lane(Lane::Exempt);
    /// The OpenAPI document.
    DOCS_OPENAPI = OperationInfo::open("docs.openapi");
    /// The browser page of the API.
    DOCS_PAGE = OperationInfo::open("docs.page");
}

/// A request for an operation on the keys of an EOA.
pub(in crate::service) trait Operation {
    /// The operation.
    fn info(&self) -> &'static OperationInfo;
    /// The owner of the keys.
    fn owner(&self) -> Eoa;
    /// The name of the key, if it is about one.
    fn key_name(&self) -> Option<&KeyName>;
    /// The operation whose permission covers this one: the proof of a new key belongs to its creation.
    fn granted_by(&self) -> Option<&'static OperationInfo> {
        None
    }
}

/// Implements [`Operation`] for a request with the fields `eoa` and `name`.
macro_rules! on_key {
    ($request:ty, $info:ident) => {
        impl crate::service::operation::Operation for $request {
            fn info(&self) -> &'static crate::service::operation::OperationInfo {
                &crate::service::operation::$info
            }

            fn owner(&self) -> crate::key::Eoa {
                self.eoa
            }

            fn key_name(&self) -> Option<&crate::key::KeyName> {
                Some(&self.name)
            }
        }
    };
}

/// Implements [`Operation`] for a request with the field `eoa`.
macro_rules! on_owner {
    ($request:ty, $info:ident) => {
        impl crate::service::operation::Operation for $request {
            fn info(&self) -> &'static crate::service::operation::OperationInfo {
                &crate::service::operation::$info
            }

            fn owner(&self) -> crate::key::Eoa {
                self.eoa
            }

            fn key_name(&self) -> Option<&crate::key::KeyName> {
                None
            }
        }
    };
}

pub(in crate::service) use {on_key, on_owner};

#[cfg(test)]
mod tests;
