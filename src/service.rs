//! Use cases: what clients, the administrator and the scheduler ask of the service; each operation has one file.
//!
//! `Context` (the caller) → [`Allowed`] (authorised) → `audit_log::Recorded` (the intent is durable) → [`Custody`]
//! (the only owner of the enclave) → recorded outcome → response. Each step makes a value that the next one consumes
//! and that nothing else can make. Not for: HTTP, JSON, status codes.

mod audit;
mod auth;
mod context;
mod custody;
mod error;
mod error_code;
mod keys;
mod metrics;
pub mod operation;
mod quotas;
mod recorder;
mod recovery;
mod signing;
mod subject;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use audit_log::{AuditError, AuditLog, Head, OpenIntent};
use tokio::task::spawn_blocking;

use crate::auth::Caller;
use crate::chain::RpcClient;
use crate::clock::Clock;
use crate::request_id::RequestId;
use crate::store::Store;
use auth::authorise::Authorizer;
use keys::change_lock::ChangeLock;
use keys::take_away::RecordedTakeAway;
use operation::OperationInfo;
use recorder::Recorder;
use recovery::Recovery;
use signing::registry_check::RegistryCheck;

pub use audit::checkpoint_publisher::{Checkpoints, Publish, anchor_of, compare_log, sign_first};
pub use audit::maintenance::{Maintenance, MaintenanceRecords, NoteMaintenance, SignedManifest};
pub use audit::reads::{AuditReads, Consistency, ReadEvents, ReadRecords};
pub use auth::access_tokens::{AccessTokens, IssueAccessToken, Issued, Rejected, RevokeAccessTokens};
pub use auth::authorise::Allowed;
pub use auth::login::{IssuedChallenge, LoginResponse, Logins, RequestChallenge};
pub use auth::login_rules::{AllowedOperators, LoginRules};
pub use auth::signed_requests::SignedRequests;
pub use context::{Context, LocalProcess, Peer};
pub use custody::{Custody, public_key_of};
pub use error::ServiceError;
pub use error_code::ErrorCode;
pub use keys::admin::KeyAdmin;
pub use keys::create::*;
pub use keys::freeze::{FreezeSet, Freezes, SetFreeze};
pub use keys::policy::*;
pub use keys::read::*;
pub use keys::rotate::*;
pub use keys::schedule::*;
pub use keys::take_away::TakeAway;
pub use keys::transition::*;
pub use quotas::Quotas;
pub use recovery::Recovered;
pub use signing::message::Message;
pub use signing::prepared::{PreparedSignature, Sign};
pub use signing::sign::{Signed, Signing};
pub use subject::AuditSubject;

/// The use cases of one process, shared by all requests.
#[derive(Debug)]
pub struct Services {
    /// Signatures.
    pub signing: Signing,
    /// Changes of keys.
    pub keys: KeyAdmin,
    /// Reads of keys.
    pub key_reads: KeyReads,
    /// Policies of keys.
    pub policies: Policies,
    /// Rotation schedules.
    pub schedules: Schedules,
    /// The freeze of all keys.
    pub freezes: Freezes,
    /// Logins.
    pub logins: Logins,
    /// Signed requests.
    pub signed_requests: SignedRequests,
    /// Access tokens.
    pub access_tokens: AccessTokens,
    /// Reads of the audit log.
    pub audit: AuditReads,
    /// Publication of checkpoints.
    pub checkpoints: Checkpoints,
    /// Records of maintenance.
    pub maintenance: MaintenanceRecords,
    recorder: Recorder,
    store: Store,
    log: AuditLog,
    custody: Arc<Custody>,
    clock: Clock,
    request_deadline: Duration,
}

/// What the use cases are built of.
#[derive(Debug)]
pub struct ServiceParts {
    /// The open store.
    pub store: Store,
    /// The open audit log.
    pub log: AuditLog,
    /// The owner of the enclave.
    pub custody: Custody,
    /// Tells the time.
    pub clock: Clock,
    /// How long an operation may take.
    pub request_deadline: Duration,
    /// The node that registrations are compared with, if one is configured.
    pub node: Option<RpcClient>,
    /// Rules of logins, where login is enabled.
    pub login: Option<LoginRules>,
    /// What one EOA and all of them may have.
    pub quotas: Quotas,
}

impl Services {
    /// The use cases over these parts.
    pub fn new(parts: ServiceParts) -> Self {
        let ServiceParts { store, log, custody, clock, request_deadline, node, login, quotas } = parts;
        let (custody, login) = (Arc::new(custody), login.map(Arc::new));
        let (changes, checkpoint_key) = (ChangeLock::default(), Arc::new(OnceLock::new()));
        let recorder = Recorder::new(log.clone(), store.clone());
        let authorizer = Authorizer::new(store.clone(), recorder.clone(), clock.clone());
        let common = || (authorizer.clone(), recorder.clone());
        let token = || Arc::clone(&custody);
        Self {
            signing: Signing::new(common(), token(), store.clone(), RegistryCheck::new(node), clock.clone()),
            keys: KeyAdmin::new(common(), token(), (store.clone(), changes.clone()), quotas, clock.clone()),
            key_reads: KeyReads::new(common(), store.clone()),
            policies: Policies::new(common(), store.clone()),
            schedules: Schedules::new(common(), store.clone(), changes, quotas),
            freezes: Freezes::new(common(), store.clone(), clock.clone()),
            logins: Logins::new(recorder.clone(), store.clone(), (login.clone(), quotas), clock.clone()),
            signed_requests: SignedRequests::new(
                (recorder.clone(), log.clone()),
                store.clone(),
                login,
                clock.clone(),
            ),
            access_tokens: AccessTokens::new(common(), store.clone(), clock.clone()),
            audit: AuditReads::new(common(), log.clone(), store.clone(), Arc::clone(&checkpoint_key)),
            checkpoints: Checkpoints::new(log.clone(), token(), checkpoint_key, clock.clone()),
            maintenance: MaintenanceRecords::new(common(), log.clone(), token()),
            recorder,
            store,
            log,
            custody,
            clock,
            request_deadline,
        }
    }

    /// Finishes or undoes what an earlier process left open. Runs once, before the first request.
    ///
    /// # Errors
    /// When the store or the log cannot be written.
    pub async fn recover(&self, open_intents: Vec<OpenIntent>) -> Result<Recovered, ServiceError> {
        let Self { keys, store, log, custody, clock, .. } = self;
        Recovery { keys, store, log, custody, clock }.run(open_intents).await
    }

    /// Records what the next start takes away, before it signs anything; gives the number of the record, which is
    /// durable. `login` is the user's name as the command says it. For the administrator of this host while no service runs and the token is away.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn take_away_at_next_start(
        &self,
        login: Option<String>,
        what: TakeAway,
        reason: Option<String>,
    ) -> Result<u64, ServiceError> {
        let request = RequestId::random().map_err(ServiceError::internal)?;
        let peer = Peer::Local(LocalProcess::this());
        let context = Context::anonymous(request, peer).recognised(Caller::local()).logged_in_as(login);
        let recorded = self.recorder.intent(RecordedTakeAway { context, what, reason }).await?;
        Ok(recorded.leave_to_next_start().seq)
    }

    /// Records that a request was refused or failed before anything was done, and returns the error.
    pub fn refuse(
        &self,
        operation: &OperationInfo,
        context: &Context,
        subject: AuditSubject,
        error: ServiceError,
    ) -> ServiceError {
        self.recorder.refuse(operation, context, subject, error)
    }

    /// Records the counts of refusals without a record of their own, once in a minute at most. Runs for ever.
    pub async fn record_counted_refusals(&self) {
        loop {
            tokio::time::sleep(audit::refusals::WINDOW).await;
            self.recorder.record_counted_refusals(false);
        }
    }

    /// Whether the service would sign now, were everything else well.
    ///
    /// # Errors
    /// While it is frozen.
    pub fn check_not_frozen(&self) -> Result<(), ServiceError> {
        keys::freeze::check_not_frozen(&self.store)
    }

    /// Whether the scheduler could record and carry out a change now: the log is writable, the token serves, and the
    /// service is not frozen.
    pub fn can_change(&self) -> bool {
        if self.store.freeze().is_some() {
            return false;
        }
        let health = self.custody.health();
        self.log.is_writable() && health.is_some_and(|health| self.custody.is_ready(&health))
    }

    /// What tells the time.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How long an operation may take.
    pub const fn request_deadline(&self) -> Duration {
        self.request_deadline
    }

    /// The store.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The audit log.
    pub const fn log(&self) -> &AuditLog {
        &self.log
    }

    /// The owner of the enclave.
    pub fn custody(&self) -> &Custody {
        &self.custody
    }

    /// Closes the log, which publishes its last checkpoint, then closes the token.
    ///
    /// # Errors
    /// When the last records could not be made durable.
    pub async fn close(&self) -> Result<Head, AuditError> {
        self.recorder.record_counted_refusals(true);
        let log = self.log.clone();
        let head = spawn_blocking(move || log.close()).await.unwrap_or(Err(AuditError::Closed));
        let custody = Arc::clone(&self.custody);
        if let Err(error) = spawn_blocking(move || custody.close()).await {
            tracing::error!(%error, "the token was not closed");
        }
        head
    }
}
