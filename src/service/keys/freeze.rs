//! Freeze of the service: `avs-kms freeze | unfreeze`, for the administrator of this host.
//!
//! While it lasts no scalar is used and no key is made, for any caller; the scheduler does nothing. What only takes away
//! and what only reads continues. It needs neither the token nor the turn to change keys, so that neither delays it.

use std::sync::Arc;
use std::time::Duration;

use audit_log::{Outcome, Value};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::key::Freeze;
use crate::service::auth::authorise::Authorizer;
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::service::operation::{SERVICE_FREEZE, SERVICE_UNFREEZE};
use crate::service::recorder::{RecordedChange, Recorder, complete, fail};
use crate::service::subject::AuditSubject;
use crate::store::{IntentMark, Store};

/// When a client may look again whether the freeze has ended.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// A request to freeze the service, or to end that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetFreeze {
    /// `true` freezes.
    pub frozen: bool,
    /// Reason, for the audit log.
    pub reason: Option<String>,
}

/// The state after the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreezeSet {
    /// The freeze, if there is one.
    pub freeze: Option<Arc<Freeze>>,
    /// `false` if the service was in this state already.
    pub changed: bool,
}

/// The freeze of the service.
#[derive(Clone, Debug)]
pub struct Freezes {
    authorizer: Authorizer,
    recorder: Recorder,
    store: Store,
    /// One at a time: what was decided is still true when it is done.
    turn: Arc<Mutex<()>>,
    clock: Clock,
}

impl Freezes {
    pub(in crate::service) fn new(
        (authorizer, recorder): (Authorizer, Recorder),
        store: Store,
        clock: Clock,
    ) -> Self {
        Self { authorizer, recorder, store, turn: Arc::default(), clock }
    }

    /// Freezes the service or ends it. A repetition is no error.
    ///
    /// # Errors
    /// When the caller is not the administrator of this host, or a write fails.
    pub async fn set(&self, context: Context, request: SetFreeze) -> Result<FreezeSet, ServiceError> {
        let operation = if request.frozen { &SERVICE_FREEZE } else { &SERVICE_UNFREEZE };
        self.authorizer.local(operation, &context)?;
        let _turn = self.turn.lock().await;
        let before = self.store.freeze();
        if before.is_some() == request.frozen {
            self.recorder.note(operation, &context, AuditSubject::default(), "ok");
            return Ok(FreezeSet { freeze: before, changed: false });
        }
        let SetFreeze { frozen, reason } = request;
        let facts = reason.clone().map(|reason| ("reason", Value::Text(reason))).into_iter().collect();
        let change = RecordedChange { operation, context, actor: None, facts };
        let recorded = self.recorder.intent_of(operation, change).await?;
        let number = recorded.receipt().seq;
        let (_, intent) = recorded.consume();
        let freeze = frozen.then_some(Freeze { since: self.clock.now(), reason });
        match self.store.set_freeze(freeze, IntentMark::Applied(number)).await {
            Ok(()) => complete(intent, Outcome::ok(0)).await?,
            Err(error) => return Err(fail(intent, ServiceError::internal(error)).await),
        }
        if frozen {
            tracing::warn!("the service is frozen: nothing is signed until `avs-kms unfreeze`");
        } else {
            tracing::warn!("the freeze has ended");
        }
        Ok(FreezeSet { freeze: self.store.freeze(), changed: true })
    }
}

/// Refuses while the service is frozen. The reason is for the administrator alone.
pub(in crate::service) fn check_not_frozen(store: &Store) -> Result<(), ServiceError> {
    let Some(freeze) = store.freeze() else { return Ok(()) };
    let message = format!(
        "the administrator has frozen this service since {}; nothing was signed or made; ask them to end it with \
         `avs-kms unfreeze`",
        freeze.since
    );
    Err(ServiceError::new(ErrorCode::ServiceFrozen, message).retry_after(RETRY_AFTER))
}
