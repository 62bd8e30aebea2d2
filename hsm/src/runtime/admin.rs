//! The administration thread: creates and destroys keys one after the other, so that slow searches never run in a
//! signing session. Not for multiplications.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use super::session_worker::SessionWorker;
use super::state::Shared;
use crate::arena::{self, Arena};
use crate::error::{EnclaveError, result_label};
use crate::key::{KeyId, NewKey, PublicKey};
use crate::keys::create::Creation;
use crate::telemetry::{self, OperationKind};
use crate::token::anchor;
use crate::token::attempt::{Attempt, AttemptError};
use crate::token::checkpoint_key::SigningWith;
use crate::wrap::{self, UnwrapError};

/// What the thread can be asked to do, with the deadline of the caller.
pub(crate) enum AdminCommand {
    Create { key: NewKey, deadline: Instant, reply: oneshot::Sender<Result<PublicKey, EnclaveError>> },
    Destroy { id: KeyId, deadline: Instant, reply: oneshot::Sender<Result<(), EnclaveError>> },
    Sign { text: Vec<u8>, deadline: Instant, reply: Sender<Result<Vec<u8>, EnclaveError>> },
    Anchor { command: AnchorCommand, deadline: Instant, reply: Sender<Result<Vec<Vec<u8>>, EnclaveError>> },
    Leave,
}

/// What to do with the anchors.
pub(crate) enum AnchorCommand {
    Read,
    Replace(Vec<u8>),
}

/// What the thread owns.
pub(crate) struct Admin {
    worker: SessionWorker,
    /// A second slot, for what is read back.
    second: Arena,
    /// Synced after every change of the token's objects.
    sync_directory: Option<PathBuf>,
}

impl Admin {
    pub(crate) fn new(shared: Arc<Shared>, arenas: [Arena; 2], sync_directory: Option<PathBuf>) -> Self {
        let [first, second] = arenas;
        Self { worker: SessionWorker::new(shared, first), second, sync_directory }
    }

    /// Runs until told to leave or until the enclave is gone.
    pub(crate) fn run(mut self, commands: &Receiver<AdminCommand>) {
        arena::block_signals();
        let shared = Arc::clone(&self.worker.shared);
        while let Ok(command) = commands.recv() {
            shared.admin.begin();
            match command {
                // Begun only while the caller waits; what is begun is finished.
                AdminCommand::Create { reply, .. } if reply.is_closed() => {}
                AdminCommand::Destroy { reply, .. } if reply.is_closed() => {}
                AdminCommand::Create { key, deadline, reply } => {
                    let result = self.timed(OperationKind::Create, |admin| admin.create(key, deadline));
                    let _ = reply.send(result);
                }
                AdminCommand::Destroy { id, deadline, reply } => {
                    let result = self.timed(OperationKind::Destroy, |admin| admin.destroy(id, deadline));
                    let _ = reply.send(result);
                }
                AdminCommand::Sign { text, deadline, reply } => {
                    let result = self.timed(OperationKind::Checkpoint, |admin| admin.sign(&text, deadline));
                    let _ = reply.send(result);
                }
                AdminCommand::Anchor { command, deadline, reply } => {
                    let result = self.timed(OperationKind::Anchor, |admin| admin.anchor(&command, deadline));
                    let _ = reply.send(result);
                }
                AdminCommand::Leave => break,
            }
            shared.admin.end();
        }
        self.worker.release();
    }

    /// Signs a checkpoint of the audit log.
    fn sign(&mut self, text: &[u8], deadline: Instant) -> Result<Vec<u8>, EnclaveError> {
        let shared = Arc::clone(&self.worker.shared);
        self.worker.run_with_retry(deadline, None, |Attempt { session, connection, arena }| {
            shared.check_lease(session, connection)?;
            let (another, kek) = (&|| connection.session(), connection.session_kek);
            let signed =
                connection.checkpoint_signer.sign(SigningWith { session, another, kek, arena }, text);
            Ok(signed.map_err(UnwrapError::as_token_error)?)
        })
    }

    /// Carries the command out; gives the anchors that are there at its end.
    fn anchor(&mut self, command: &AnchorCommand, deadline: Instant) -> Result<Vec<Vec<u8>>, EnclaveError> {
        let (directory, shared) = (self.sync_directory.clone(), Arc::clone(&self.worker.shared));
        self.worker.run_with_retry(deadline, None, |Attempt { session, connection, .. }| {
            if let AnchorCommand::Replace(bytes) = command {
                shared.check_lease(session, connection)?;
                let sync = || Ok::<_, AttemptError>(sync(directory.as_deref())?);
                anchor::replace(session, &connection.place.template, bytes, &sync)?;
            }
            Ok(anchor::read(session)?)
        })
    }

    fn timed<R>(
        &mut self,
        kind: OperationKind,
        work: impl FnOnce(&mut Self) -> Result<R, EnclaveError>,
    ) -> Result<R, EnclaveError> {
        let begun = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|_| {
            self.worker.release();
            Err(EnclaveError::Internal("the administration thread panicked; its slots were wiped".into()))
        });
        telemetry::ended(kind, result_label(&result), begun);
        result
    }

    fn create(&mut self, key: NewKey, deadline: Instant) -> Result<PublicKey, EnclaveError> {
        let shared = Arc::clone(&self.worker.shared);
        match shared.index.describe(key.id) {
            Some(known) if known.is(&key) => return Ok(known.public_key),
            Some(_) => return Err(EnclaveError::KeyExists),
            None if shared.index.is_unreadable(key.id) => return Err(EnclaveError::KeyUnreadable),
            None => {}
        }
        let sync = || sync(self.sync_directory.as_deref());
        let mut creation = Creation::new(key, &shared.index, &mut self.second, &sync);
        let made = self.worker.run_with_retry(deadline, None, |attempt| creation.attempt(attempt));
        let stored = creation.has_stored();
        match made {
            Ok(entry) => {
                let public_key = entry.public_key;
                shared.index.insert(entry);
                Ok(public_key)
            }
            Err(error) => {
                if stored {
                    self.clean_up(key.id);
                }
                Err(error)
            }
        }
    }

    /// After a failed creation: nothing of it may stay behind. Only records that this creation made can have its label,
    /// because there were none when it began.
    fn clean_up(&mut self, id: KeyId) {
        let cleaned = || {
            let connection = self.worker.shared.connection(Instant::now()).ok()?;
            let session = connection.session().ok()?;
            connection.records(&session).remove(&wrap::key_label(id)).ok()?;
            sync(self.sync_directory.as_deref()).ok()
        };
        if cleaned().is_none() {
            tracing::warn!(key = %id, "a failed creation may have left a record; it was never reported as a key");
        }
    }

    fn destroy(&mut self, id: KeyId, deadline: Instant) -> Result<(), EnclaveError> {
        let shared = Arc::clone(&self.worker.shared);
        let known = shared.index.describe(id).is_some() || shared.index.is_unreadable(id);
        let directory = self.sync_directory.clone();
        let mut destroyed = known;
        self.worker.run_with_retry(deadline, None, |Attempt { session, connection, arena, .. }| {
            let label = wrap::key_label(id);
            let records = connection.records(session);
            // Also for an attempt whose answer is lost.
            destroyed |= !records.find(&label)?.is_empty();
            records.remove(&label)?;
            sync(directory.as_deref())?;
            // No hits prove nothing by themselves: a failing token shows no objects at all.
            let left = records.find(&label)?;
            connection.check_canary(session, arena.parts().0)?;
            match (left.is_empty(), destroyed) {
                (true, true) => Ok(()),
                (true, false) => Err(EnclaveError::UnknownKey.into()),
                (false, _) => Err(EnclaveError::Internal("a destroyed record is still there".into()).into()),
            }
        })?;
        shared.index.remove(id);
        Ok(())
    }
}

/// SoftHSM never syncs: a key must be on the disk before it is reported.
fn sync(directory: Option<&std::path::Path>) -> Result<(), EnclaveError> {
    let Some(directory) = directory else { return Ok(()) };
    trusted_files::sync_file_system(directory)
        .map_err(|error| EnclaveError::Internal(format!("{} was not synced: {error}", directory.display())))
}
