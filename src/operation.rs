//! The straight line from a parsed request to an answer; one file per operation.
//!
//! `Context` (who asks) → [`Allowed`] (authorised) → `audit::Recorded` (the intent is durable) → [`Custody`]
//! (the one owner of the enclave) → settled outcome → reply. Each step mints a value that the next one
//! consumes and that nothing else can make. Not for: HTTP, JSON, status codes.

mod authorise;
mod caps;
mod checkpoints;
mod code;
mod context;
mod create_key;
mod custody;
mod figures;
mod login;
mod message;
mod policies;
mod publish;
mod read_keys;
mod recovery;
mod registry;
mod sign;
mod signed;
mod tokens;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::audit::{AuditError, AuditLog, Event, Head, Input, KeyRef, Value, VerifierKey};
use crate::chain::Chain;
use crate::key::{Eoa, KeyName};
use crate::store::{KeyVersion, Store};

pub use authorise::Allowed;
pub use checkpoints::{Consistency, ReadRecords};
pub use code::{Code, Failure};
pub use context::{Context, Peer};
pub use create_key::{CreateKey, Created};
pub use custody::Custody;
pub use login::{Answer, AskChallenge, Challenged, LoginRules};
pub use message::Message;
pub use policies::SetPolicy;
pub use publish::Publish;
pub(crate) use publish::body as checkpoint_body;
pub use read_keys::{ListKeys, ShowKey};
pub use recovery::Recovered;
pub use sign::{Ready, Sign, Signed};
pub use tokens::{IssueToken, Issued, RevokeToken};

/// What the operations work with. One per process, shared by all requests.
#[derive(Debug)]
pub struct Service {
    store: Arc<Store>,
    audit: AuditLog,
    custody: Custody,
    /// Creations are rare and slow: one at a time keeps "get or create" free of races.
    creating: tokio::sync::Mutex<()>,
    /// Carries checkpoints away, if one is configured.
    webhook: std::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
    /// Checks the checkpoints that are published, once they are.
    checkpoint_key: OnceLock<VerifierKey>,
    /// What a registration is compared with, if a node is configured.
    chain: Option<Chain>,
    /// How long an operation may take before its client is told that it took too long.
    deadline: Duration,
    /// Who may log in; none where only the machine's own operator calls.
    login: Option<login::Login>,
    nonces: signed::Nonces,
    caps: caps::Caps,
}

impl Service {
    /// A service over an open store, log and enclave.
    pub fn new(store: Store, audit: AuditLog, custody: Custody, deadline: Duration) -> Self {
        Self {
            store: Arc::new(store),
            audit,
            custody,
            creating: tokio::sync::Mutex::new(()),
            webhook: std::sync::Mutex::new(None),
            checkpoint_key: OnceLock::new(),
            chain: None,
            deadline,
            login: None,
            nonces: signed::Nonces::default(),
            caps: caps::Caps::default(),
        }
    }

    /// The same, with a node to ask what the chain says.
    pub fn with_chain(mut self, chain: Option<Chain>) -> Self {
        self.chain = chain;
        self
    }

    /// Lets operators log in and sign requests.
    pub fn with_login(mut self, rules: LoginRules) -> Self {
        self.login = Some(login::Login::new(rules));
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

    /// Ends the log, then the token, which signs the log's last checkpoint. Blocks; wants a tokio runtime around it.
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
        asked: Asked,
        failure: Failure,
    ) -> Failure {
        if failure.is_recorded() {
            return failure;
        }
        self.note(operation, context, asked, failure.code().slug());
        failure.recorded()
    }

    /// Records an operation that needs no durable intent: a read, a refusal.
    fn note(&self, operation: &'static str, context: &Context, asked: Asked, code: &'static str) {
        let Asked { key, input } = asked;
        self.audit.note(Event {
            operation,
            actor: context.actor(),
            request: Some(context.request()),
            key,
            input,
            code,
        });
    }

    /// Runs a store write off the async threads.
    async fn in_store<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Store) -> Result<T, crate::store::StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || write(&store)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Failure::internal(error)),
            Err(error) => Err(Failure::internal(error)),
        }
    }
}

/// What a request asks for, as the audit log says it when nothing was looked up.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    key: Option<KeyRef>,
    input: Option<Input>,
}

impl Asked {
    fn key(eoa: Eoa, name: &KeyName) -> Self {
        let key = KeyRef { eoa, name: name.clone(), version: None, id: None, public_key_hash: None };
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
        eoa: version.eoa,
        name: version.name.clone(),
        version: Some(version.version),
        id: Some(version.id.to_string()),
        public_key_hash: Some(crate::eigenlayer::operator_id(&version.public_key.g1)),
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}
