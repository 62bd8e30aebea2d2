//! Audit records of the use cases: refusals, reads, and intents with their outcomes.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use audit_log::{
    Actor, AuditLog, Event, FoundRecord, Input, Intent, LogId, Outcome, OutcomeGuard, Recordable, Recorded,
    Value,
};

use super::audit::refusals::{RefusalBudget, RefusalKind};
use super::context::Context;
use super::error::ServiceError;
use super::error_code::ErrorCode;
use super::operation::{OperationInfo, READS_COUNTED, REFUSALS_COUNTED};
use super::subject::AuditSubject;
use crate::auth::Caller;
use crate::store::{Store, StoreError};

/// Writes audit records.
#[derive(Clone, Debug)]
pub(in crate::service) struct Recorder {
    log: AuditLog,
    store: Store,
    refusals: Arc<RefusalBudget>,
}

/// A change of something else than a key, ready to be recorded.
pub(in crate::service) struct RecordedChange {
    pub(in crate::service) operation: &'static OperationInfo,
    pub(in crate::service) context: Context,
    /// The actor, where it is not the caller of the context.
    pub(in crate::service) actor: Option<Actor>,
    pub(in crate::service) facts: Vec<(&'static str, Value)>,
}

impl Recordable for RecordedChange {
    fn intent(&self) -> Intent {
        Intent {
            operation: self.operation.name,
            actor: self.actor.clone().unwrap_or_else(|| self.context.actor()),
            request: self.context.request().to_string(),
            key: None,
            input: Some(Input::Fields(self.facts.clone())),
        }
    }
}

impl Recorder {
    pub(in crate::service) fn new(log: AuditLog, store: Store) -> Self {
        Self { log, store, refusals: Arc::new(RefusalBudget::new()) }
    }

    /// Records that an operation was refused or failed before anything was done, and returns the error. Beyond the
    /// budget of a minute it is counted instead.
    pub(in crate::service) fn refuse(
        &self,
        operation: &OperationInfo,
        context: &Context,
        subject: AuditSubject,
        error: ServiceError,
    ) -> ServiceError {
        if error.is_recorded() {
            return error;
        }
        self.record_counted_refusals(false);
        if self.admits(operation, context, Some(error.code())) {
            self.log.note(event(operation, context, subject, error.code().as_str()));
        }
        error.recorded()
    }

    fn admits(&self, operation: &OperationInfo, context: &Context, code: Option<ErrorCode>) -> bool {
        let caller = context.caller();
        if caller.is_some_and(|caller| caller.is_local() || caller.is_service()) {
            return true;
        }
        // An access token that was shown from the wrong network names its EOA, too.
        let eoa = caller.and_then(Caller::eoa).or_else(|| context.shown_eoa());
        let eoa = eoa.filter(|eoa| self.store.has_keys(eoa));
        self.refusals.admits(RefusalKind { eoa, operation: operation.name, code })
    }

    /// Records how many refusals of the last minute have no record of their own. `anyway`: also of a minute that has
    /// not ended.
    pub(in crate::service) fn record_counted_refusals(&self, anyway: bool) {
        for (kind, count) in self.refusals.take(Instant::now(), anyway) {
            let RefusalKind { eoa, operation, code } = kind;
            let counted_by = if code.is_some() { &REFUSALS_COUNTED } else { &READS_COUNTED };
            let eoa = eoa.map(|eoa| ("eoa", Value::Text(eoa.to_string())));
            let counted = [("operation", Value::Text(operation.to_owned())), ("count", Value::Number(count))];
            self.log.note(Event {
                operation: counted_by.name,
                actor: Actor::service(),
                request: None,
                key: None,
                input: Some(Input::Fields(eoa.into_iter().chain(counted).collect())),
                code: code.map_or("ok", ErrorCode::as_str),
            });
        }
    }

    /// Records an operation that needs no durable intent and changed nothing, such as a read. Beyond the budget of a
    /// minute it is counted instead.
    pub(in crate::service) fn note(
        &self,
        operation: &OperationInfo,
        context: &Context,
        subject: AuditSubject,
        code: &'static str,
    ) {
        self.record_counted_refusals(false);
        if self.admits(operation, context, None) {
            self.log.note(event(operation, context, subject, code));
        }
    }

    /// Records an operation that needs no intent, and waits until the record is durable.
    pub(in crate::service) async fn note_durable(&self, event: Event) -> Result<(), ServiceError> {
        self.log.note_durable(event).await?;
        Ok(())
    }

    /// The id of the log, and the record with this number.
    pub(in crate::service) async fn record_at(&self, seq: u64) -> Result<(LogId, FoundRecord), ServiceError> {
        let log = self.log.clone();
        let read = tokio::task::spawn_blocking(move || log.record_at(seq)).await;
        let found = read.map_err(ServiceError::internal)?.map_err(ServiceError::internal)?;
        Ok((self.log.head().log, found))
    }

    /// Records an intent. It is durable when this answers.
    pub(in crate::service) async fn intent<T: Recordable>(
        &self,
        subject: T,
    ) -> Result<Recorded<T>, ServiceError> {
        self.log.record(subject).await.map_err(|refused| ServiceError::from(refused.error).recorded())
    }

    /// The same for an operation that may only take away, which has places and disk space of its own.
    pub(in crate::service) async fn intent_of<T: Recordable>(
        &self,
        operation: &OperationInfo,
        subject: T,
    ) -> Result<Recorded<T>, ServiceError> {
        if !operation.takes_away() {
            return self.intent(subject).await;
        }
        let recorded = self.log.record_reserved(subject).await;
        recorded.map_err(|refused| ServiceError::from(refused.error).recorded())
    }

    /// Intent, write, outcome: each durable before the next.
    pub(in crate::service) async fn change<T>(
        &self,
        change: RecordedChange,
        write: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, ServiceError> {
        let (_, outcome) = self.intent_of(change.operation, change).await?.consume();
        let result = write.await.map_err(ServiceError::internal);
        let code = result.as_ref().map_or_else(|error| error.code().as_str(), |_| "ok");
        outcome.record_outcome_durable(Outcome { code, ..Outcome::ok(0) }).await?;
        result.map_err(ServiceError::recorded)
    }
}

/// An event of an operation.
pub(in crate::service) fn event(
    operation: &OperationInfo,
    context: &Context,
    subject: AuditSubject,
    code: &'static str,
) -> Event {
    let AuditSubject { key, input } = subject;
    let (actor, request) = (context.actor(), Some(context.request().to_string()));
    Event { operation: operation.name, actor, request, key, input, code }
}

/// Records the outcome of an operation that changed something; it is durable when this answers.
pub(in crate::service) async fn complete(intent: OutcomeGuard, outcome: Outcome) -> Result<(), ServiceError> {
    intent
        .record_outcome_durable(outcome)
        .await
        .map(drop)
        .map_err(|error| ServiceError::from(error).recorded())
}

/// Records the error that ended an operation, and returns it.
pub(in crate::service) async fn fail(intent: OutcomeGuard, error: ServiceError) -> ServiceError {
    if let Err(cause) = intent.record_outcome_durable(Outcome::failed(error.code().as_str(), 0)).await {
        tracing::error!(%cause, "the outcome of a failed operation was not recorded");
    }
    error.recorded()
}
