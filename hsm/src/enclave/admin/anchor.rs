//! The anchor of the audit log, kept and read back by the administration thread. Not for what it says.

use std::time::{Duration, Instant};

use crossbeam_channel::{TrySendError, bounded};

use super::{Admin, Order, sync};
use crate::enclave::desk::Attempt;
use crate::enclave::{Enclave, EnclaveError};
use crate::notary::anchor;

/// What is wanted of the anchors.
pub(in crate::enclave) enum Errand {
    Read,
    Replace(Vec<u8>),
}

/// The caller waits a little longer than the thread tries.
const GRACE: Duration = Duration::from_millis(200);

impl Admin {
    /// Carries the errand out; gives the anchors that are there at its end.
    pub(super) fn anchor(
        &mut self,
        errand: &Errand,
        deadline: Instant,
    ) -> Result<Vec<Vec<u8>>, EnclaveError> {
        let directory = self.sync_directory.clone();
        self.desk.carry_out(deadline, None, |Attempt { session, .. }| {
            if let Errand::Replace(bytes) = errand {
                anchor::replace(session, bytes)?;
                sync(directory.as_deref())?;
            }
            Ok(anchor::read(session)?)
        })
    }
}

impl Enclave {
    /// What was left in the token by [`replace_audit_anchor`](Self::replace_audit_anchor): mostly one value, two after a
    /// crash in between, none in a token that never had one. Blocks; not for async threads.
    ///
    /// # Errors
    /// As for every operation.
    pub fn audit_anchors(&self, deadline: Instant) -> Result<Vec<Vec<u8>>, EnclaveError> {
        self.anchor(Errand::Read, deadline)
    }

    /// Leaves some public bytes, at most 1024, in a data object of the token: the new object is made and read back before
    /// the old one is destroyed. Blocks; not for async threads.
    ///
    /// # Errors
    /// As for every operation; the old value may then be there, or both.
    pub fn replace_audit_anchor(&self, anchor: Vec<u8>, deadline: Instant) -> Result<(), EnclaveError> {
        if anchor.is_empty() || anchor.len() > anchor::ANCHOR_MAX {
            return Err(EnclaveError::Internal("an anchor has 1 to 1024 bytes".into()));
        }
        self.anchor(Errand::Replace(anchor), deadline).map(drop)
    }

    fn anchor(&self, errand: Errand, deadline: Instant) -> Result<Vec<Vec<u8>>, EnclaveError> {
        self.check_admin()?;
        let (reply, answer) = bounded(1);
        let order = Order::Anchor { errand, deadline, reply };
        self.running.orders.try_send(order).map_err(|refused| match refused {
            TrySendError::Full(_) => EnclaveError::Overloaded,
            TrySendError::Disconnected(_) => EnclaveError::ShuttingDown,
        })?;
        answer.recv_deadline(deadline + GRACE).unwrap_or(Err(EnclaveError::DeadlineExceeded))
    }
}
