//! Records of maintenance: what the command line did to the files itself, recorded after it was done.
//!
//! Other programs that read the files leave no record; file permissions are what keeps them out. A manifest of a backup
//! is signed here. Not for: the work itself (`backup`, `audit_log`).

use std::sync::Arc;

use audit_log::{AuditLog, StatementKind, Value, VerifierKey};
use tokio::task::spawn_blocking;

use crate::service::auth::authorise::Authorizer;
use crate::service::context::Context;
use crate::service::custody::Custody;
use crate::service::error::ServiceError;
use crate::service::operation::{
    AUDIT_COMPRESS, BACKUP, BACKUP_SIGN, MAINTENANCE_NOTE, OperationInfo, RESTORE,
};
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

/// The signature of a manifest.
#[derive(Debug)]
pub struct SignedManifest {
    /// The key that signed it.
    pub key: VerifierKey,
    /// The signed note.
    pub note: String,
}

/// Records of maintenance.
#[derive(Clone, Debug)]
pub struct MaintenanceRecords {
    authorizer: Authorizer,
    recorder: Recorder,
    log: AuditLog,
    custody: Arc<Custody>,
}

impl MaintenanceRecords {
    pub(in crate::service) fn new(
        (authorizer, recorder): (Authorizer, Recorder),
        log: AuditLog,
        custody: Arc<Custody>,
    ) -> Self {
        Self { authorizer, recorder, log, custody }
    }

    /// Signs the SHA-256 of the manifest of an archive with the key of the log's checkpoints. The record is durable
    /// before.
    ///
    /// # Errors
    /// When the caller is not the administrator of this host, the log cannot be written, or the token does not sign.
    pub async fn sign_manifest(
        &self,
        context: &Context,
        manifest: [u8; 32],
    ) -> Result<SignedManifest, ServiceError> {
        self.authorizer.local(&BACKUP_SIGN, context)?;
        let signer = self.custody.checkpoint_signer()?;
        let name = self.log.head().log.origin();
        let key = VerifierKey::new(&name, signer.public_key()).map_err(ServiceError::internal)?;
        let fields = vec![("manifest", Value::Bytes(manifest.to_vec()))];
        let event = event(&BACKUP_SIGN, context, AuditSubject::fields(fields), "ok");
        self.recorder.note_durable(event).await?;
        let line = hex::encode(manifest);
        let signed = spawn_blocking(move || StatementKind::BackupManifest.sign(&name, &line, &*signer)).await;
        let note = signed.map_err(ServiceError::internal)?.map_err(ServiceError::internal)?;
        Ok(SignedManifest { key, note })
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
