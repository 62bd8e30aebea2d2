//! `GET /v1/events`: what happened to the caller's own keys, for those who poll.

use crate::auth::Scope;
use crate::service::{AuditSubject, Context, Service, ServiceError};
use crate::store::KeyEvent;
use audit_log::{Input, Value};

/// A page of events.
#[derive(Debug)]
pub struct ReadEvents {
    /// Only what has a higher number.
    pub after: u64,
    /// At most so many.
    pub limit: usize,
}

impl ReadEvents {
    /// Its name in the audit log.
    pub const NAME: &'static str = "events.read";
}

impl Service {
    /// Events of the caller's own keys, oldest first; of all keys for the machine's own operator and tokens for `*`.
    ///
    /// # Errors
    /// When the caller may not read keys, or the store cannot be read.
    pub async fn read_events(
        &self,
        context: &Context,
        request: ReadEvents,
    ) -> Result<Vec<KeyEvent>, ServiceError> {
        let ReadEvents { after, limit } = request;
        let asked =
            AuditSubject { key: None, input: Some(Input::Fields(vec![("after", Value::Number(after))])) };
        let eoa = self.authorise_own(ReadEvents::NAME, context, &asked, Scope::KeysRead)?;
        self.note(ReadEvents::NAME, context, asked, "ok");
        self.in_store(move |store| store.events(eoa.as_ref(), after, limit)).await
    }
}
