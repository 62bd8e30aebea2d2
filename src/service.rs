//! The straight line from a parsed request to an answer; one file per operation.
//!
//! `Context` (who asks) → [`Allowed`] (authorised) → `audit_log::Recorded` (the intent is durable) → [`Custody`]
//! (the one owner of the enclave) → settled outcome → reply. Each step mints a value that the next one
//! consumes and that nothing else can make. Not for: HTTP, JSON, status codes.

mod audit;
mod auth;
mod context;
mod custody;
mod error;
mod keys;
mod metrics;
pub mod operation;
mod recovery;
mod signing;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hsm::KeyId;
use jiff::Timestamp;

use crate::chain::RpcClient;
use crate::clock::Clock;
use crate::key::KeyVersion;
use crate::key::{Eoa, KeyName};
use crate::store::Store;
use audit_log::{AuditError, AuditLog, Event, Head, Input, KeyRef, Value, VerifierKey};

pub use audit::checkpoint_publisher::Publish;
pub use audit::events::ReadEvents;
pub use audit::maintenance::{Maintenance, NoteMaintenance};
pub use audit::proofs::{Consistency, ReadRecords};
pub use auth::access_tokens::{IssueAccessToken, Issued, RevokeAccessTokens};
pub use auth::authorise::Allowed;
pub use auth::login::{IssuedChallenge, LoginResponse, LoginRules, RequestChallenge};
pub use context::{Context, Peer};
pub use custody::Custody;
pub use error::{ErrorCode, ServiceError};
pub use keys::create::{CreateKey, Created};
pub use keys::policy::SetPolicy;
pub use keys::read::{ListKeys, ShowKey};
pub use keys::rotate::RotateKey;
pub use keys::schedule::{Planned, ReadSchedule, SetSchedule};
pub use keys::transition::{ChangeKey, Changed, GRACE_DAYS, SHORTEST_GRACE_DAYS};
pub use recovery::Recovered;
pub use signing::message::Message;
pub use signing::sign::{PreparedSignature, Sign, Signed};

/// What the operations work with. One per process, shared by all requests.
#[derive(Debug)]
pub struct Service {
    store: Arc<Store>,
    audit: AuditLog,
    custody: Custody,
    /// Changes of keys are rare and slow: one at a time keeps what was decided true until it is done.
    changing: tokio::sync::Mutex<()>,
    /// What time it is.
    clock: Clock,
    /// When each version signed last, since the start: for watching.
    signed: std::sync::RwLock<HashMap<KeyId, Timestamp>>,
    /// Carries checkpoints away, if one is configured.
    webhook: std::sync::Mutex<Option<std::sync::mpsc::Receiver<()>>>,
    /// Checks the checkpoints that are published, once they are.
    checkpoint_key: OnceLock<VerifierKey>,
    /// What a registration is compared with, if a node is configured.
    chain: Option<RpcClient>,
    /// How long an operation may take before its client is told that it took too long.
    deadline: Duration,
    /// Who may log in; none where only the machine's own operator calls.
    login: Option<auth::login::Login>,
    nonces: auth::replay_window::Nonces,
    caps: signing::key_rate_limit::KeyRateLimits,
}

impl Service {
    /// A service over an open store, log and enclave.
    pub fn new(store: Store, audit: AuditLog, custody: Custody, deadline: Duration) -> Self {
        Self {
            store: Arc::new(store),
            audit,
            custody,
            changing: tokio::sync::Mutex::new(()),
            clock: Clock::system(),
            signed: std::sync::RwLock::default(),
            webhook: std::sync::Mutex::new(None),
            checkpoint_key: OnceLock::new(),
            chain: None,
            deadline,
            login: None,
            nonces: auth::replay_window::Nonces::default(),
            caps: signing::key_rate_limit::KeyRateLimits::default(),
        }
    }

    /// The same service by another clock.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Whether a change could be recorded and carried out now: the log takes records and the token serves.
    pub fn can_change(&self) -> bool {
        let health = self.custody.health();
        self.audit.is_writable() && health.is_some_and(|health| self.custody.is_ready(&health))
    }

    /// What tells the time here.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    fn now(&self) -> Timestamp {
        self.clock.moment().wall
    }

    /// Waits for the turn to change keys. Behind a token that hangs, changes give up at their deadlines instead of
    /// piling up.
    async fn one_at_a_time(
        &self,
        deadline: Instant,
    ) -> Result<tokio::sync::MutexGuard<'_, ()>, ServiceError> {
        let turn = tokio::time::timeout_at(deadline.into(), self.changing.lock()).await;
        turn.map_err(|_| ServiceError::too_late())
    }

    /// The same, with a node to ask what the chain says.
    pub fn with_chain(mut self, chain: Option<RpcClient>) -> Self {
        self.chain = chain;
        self
    }

    /// Lets operators log in and sign requests.
    pub fn with_login(mut self, rules: LoginRules) -> Self {
        self.login = Some(auth::login::Login::new(rules));
        self
    }

    /// How long a request may take.
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The store, for authentication.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The log, for readiness and shutdown.
    pub const fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// The owner of the enclave, for readiness and shutdown.
    pub const fn custody(&self) -> &Custody {
        &self.custody
    }

    /// Ends the log, then the token, which signs the log's last checkpoint. Blocks the thread.
    ///
    /// # Errors
    /// When the last records could not be made durable.
    pub fn close(&self) -> Result<Head, AuditError> {
        let head = self.audit.clone().close();
        self.publish_last();
        self.custody.close();
        head
    }

    /// Records that `operation` was refused or failed before anything was done, and passes the failure on.
    pub fn refuse(
        &self,
        operation: &'static str,
        context: &Context,
        asked: AuditSubject,
        failure: ServiceError,
    ) -> ServiceError {
        if failure.is_recorded() {
            return failure;
        }
        self.note(operation, context, asked, failure.code().as_str());
        failure.recorded()
    }

    /// Records an operation that needs no durable intent: a read, a refusal.
    fn note(&self, operation: &'static str, context: &Context, asked: AuditSubject, code: &'static str) {
        let AuditSubject { key, input } = asked;
        self.audit.note(Event {
            operation,
            actor: context.actor(),
            request: Some(context.request().to_string()),
            key,
            input,
            code,
        });
    }

    /// Runs a store write off the async threads.
    async fn in_store<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Store) -> Result<T, crate::store::StoreError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || write(&store)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(ServiceError::internal(error)),
            Err(error) => Err(ServiceError::internal(error)),
        }
    }
}

/// What a request asks for, as the audit log says it when nothing was looked up.
#[derive(Clone, Debug, Default)]
pub struct AuditSubject {
    key: Option<KeyRef>,
    input: Option<Input>,
}

impl AuditSubject {
    fn key(eoa: Eoa, name: &KeyName) -> Self {
        let (eoa, name) = (eoa.to_string(), name.to_string());
        let key = KeyRef { eoa, name, version: None, id: None, public_key_hash: None };
        Self { key: Some(key), input: None }
    }

    fn keys_of(eoa: Eoa) -> Self {
        Self { key: None, input: Some(Input::Fields(vec![("eoa", Value::Text(eoa.to_string()))])) }
    }

    fn version(version: &KeyVersion) -> Self {
        Self { key: Some(version_ref(version)), input: None }
    }
}

/// How the audit log names a version.
fn version_ref(version: &KeyVersion) -> KeyRef {
    KeyRef {
        eoa: version.eoa.to_string(),
        name: version.name.to_string(),
        version: Some(version.version.number()),
        id: Some(version.id.to_string()),
        public_key_hash: Some(crate::eigenlayer::operator_id(&version.public_key.g1)),
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}
