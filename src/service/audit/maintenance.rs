//! Records of maintenance: what the command line did to the files itself, recorded after it was done.
//!
//! Other programs that read the files leave no record; file permissions are what keeps them out. Not for: the work
//! itself (`backup`, `audit_log`).

use audit_log::Value;

use crate::service::auth::authorise::Authorizer;
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::operation::{AUDIT_COMPRESS, BACKUP, MAINTENANCE_NOTE, OperationInfo, RESTORE};
use crate::service::recorder::{Recorder, event};
use crate::service::subject::AuditSubject;

/// Work that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maintenance {
    /// Keys, log and token were copied into an archive.
    Backup,
    /// An archive was restored.
    Restore,
    /// Completed segments of the log were compressed.
    Compress,
}

impl Maintenance {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Backup, Self::Restore, Self::Compress];

    /// The operation of its record.
    pub const fn operation(self) -> &'static OperationInfo {
        match self {
            Self::Backup => &BACKUP,
            Self::Restore => &RESTORE,
            Self::Compress => &AUDIT_COMPRESS,
        }
    }

    /// Its name in the audit log.
    pub const fn name(self) -> &'static str {
        self.operation().name
    }
}

/// A request to record maintenance.
#[derive(Debug)]
pub struct NoteMaintenance {
    /// What was done.
    pub work: Maintenance,
    /// The archive or directory.
    pub path: String,
    /// How many key versions or segments.
    pub count: u64,
}

/// Records of maintenance.
#[derive(Clone, Debug)]
pub struct MaintenanceRecords {
    authorizer: Authorizer,
    recorder: Recorder,
}

impl MaintenanceRecords {
    pub(in crate::service) fn new((authorizer, recorder): (Authorizer, Recorder)) -> Self {
        Self { authorizer, recorder }
    }

    /// Records maintenance; the record is durable when this answers.
    ///
    /// # Errors
    /// When the caller is not the administrator of this host, or the log cannot be written.
    pub async fn note(&self, context: &Context, request: NoteMaintenance) -> Result<(), ServiceError> {
        self.authorizer.local(&MAINTENANCE_NOTE, context)?;
        let fields = vec![("path", Value::Text(request.path)), ("count", Value::Number(request.count))];
        let event = event(request.work.operation(), context, AuditSubject::fields(fields), "ok");
        self.recorder.note_durable(event).await
    }
}
