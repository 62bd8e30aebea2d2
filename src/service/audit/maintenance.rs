//! What the command line did to the files themselves, beside the service: it is recorded when it is done.
//!
//! Who reads the files in another way leaves no record; that is what the rights of the files are for. Not for: doing
//! any of it (`backup`, `audit`).

use crate::service::{Context, Service, ServiceError};
use audit_log::{Event, Input, Value};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maintenance {
    /// Keys, log and token were copied into an archive.
    Backup,
    /// They came back from one.
    Restore,
    /// Completed segments of the log were compressed.
    Compress,
}

impl Maintenance {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Backup, Self::Restore, Self::Compress];

    /// Its name in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Compress => "audit.compress",
        }
    }
}

/// What the record is to say.
#[derive(Debug)]
pub struct NoteMaintenance {
    /// What was done.
    pub work: Maintenance,
    /// The archive or directory.
    pub path: String,
    /// How many key versions or segments it was about.
    pub count: u64,
}

impl Service {
    /// Records it durably.
    ///
    /// # Errors
    /// When anybody but the machine's own operator says so, or the log cannot be written.
    pub async fn note_files(&self, context: &Context, wish: NoteMaintenance) -> Result<(), ServiceError> {
        self.local_only(wish.work.name(), context, "what was done to the files is recorded by who did it")?;
        let fields = vec![("path", Value::Text(wish.path)), ("count", Value::Number(wish.count))];
        let event = Event {
            operation: wish.work.name(),
            actor: context.actor(),
            request: Some(context.request().to_string()),
            key: None,
            input: Some(Input::Fields(fields)),
            code: "ok",
        };
        self.audit.note_durable(event).await?;
        Ok(())
    }
}
