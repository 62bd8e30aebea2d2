//! What makes a move final: a record of it, the last checkpoint of the old key, and the change of the checkpoint key that
//! both keys sign. Not for what comes before and after it.

use std::error::Error;
use std::sync::Arc;

use audit_log::{Actor, AuditLog, CheckpointSigner, Event, Input, KeyChange, PublicKey, Value, VerifierKey};
use hsm::{CheckpointKey, Copied, RewrapReport, RewrapSide};

use super::two_sides::TwoSides;
use crate::cli::error::CliError;
use crate::cli::serve::open::{audit_settings, boot};
use crate::clock::Clock;
use crate::config::Configuration;
use crate::service::operation::REWRAP;
use crate::service::{anchor_of, public_key_of};

/// The checkpoint key of one side.
struct Signer {
    copied: Arc<Copied>,
    side: RewrapSide,
}

impl CheckpointSigner for Signer {
    fn public_key(&self) -> PublicKey {
        public_key_of(self.copied.checkpoint_key(self.side))
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Ok(self.copied.sign(self.side, text)?)
    }
}

/// Refuses a checkpoint key that signed this log before another followed it.
pub(super) fn refuse_replaced(configuration: &Configuration, key: &CheckpointKey) -> Result<(), String> {
    let keys = audit_log::checkpoint_keys(&configuration.audit.directory);
    let keys = keys.map_err(|error| format!("cannot read the audit log: {error}"))?;
    let key = public_key_of(*key);
    match keys.iter().any(|known| known.public_key() == key) {
        false => Ok(()),
        true => Err("the new side has the checkpoint key that this log had before its keys were moved away from there. \
                     Finish that move first: repeat `avs-kms rewrap` with the configurations of then. Where the HSM's \
                     administrator made the key, name another in pkcs11.checkpoint_key_label"
            .to_owned()),
    }
}

/// Records the move, has the old key sign all that it vouches for, and appends the change. When this returns, and only
/// then, the new side is the one that serves. A process that dies in it has done nothing, or all of it.
pub(super) fn make_final(sides: &TwoSides<'_>, copied: &Arc<Copied>) -> Result<(), CliError> {
    let boot = boot(sides.old, Some(sides.installation));
    let (log, _) = AuditLog::open(audit_settings(sides.old), boot)
        .map_err(|error| CliError::context("cannot open the audit log", &error))?;
    let done = change(sides, copied, &log);
    let closed = log.close().map_err(|error| CliError::context("cannot close the audit log", &error));
    done.and(closed.map(drop))
}

fn change(sides: &TwoSides<'_>, copied: &Arc<Copied>, log: &AuditLog) -> Result<(), CliError> {
    let signer = |side| Signer { copied: Arc::clone(copied), side };
    let (old, new) = (signer(RewrapSide::Old), signer(RewrapSide::New));
    let failed = |what: &str, error: &(dyn Error + 'static)| {
        CliError::context(format!("{what}; nothing is final, the old configuration serves as before"), error)
    };
    let origin = log.head().log.origin();
    let named = |signer: &Signer| {
        VerifierKey::new(&origin, signer.public_key()).map_err(|error| failed("the key has no name", &error))
    };
    let keys = (named(&old)?, named(&new)?);
    sides
        .runtime
        .block_on(log.note_durable(event(copied, &keys)))
        .map_err(|error| failed("cannot record the move", &error))?;
    let checkpoint = log
        .sign_now(&old)
        .map_err(|error| failed("the old token did not sign the last checkpoint", &error))?;
    copied
        .keep_anchor(&anchor_of(&checkpoint, &Clock::system()))
        .map_err(|error| failed("the new token did not take the checkpoint", &error))?;
    let change = KeyChange::sign(&origin, checkpoint.size(), &old, &new)
        .map_err(|error| failed("the change of the checkpoint key was not signed", &error))?;
    log.change_key(&change).map_err(|error| failed("cannot store the change of the checkpoint key", &error))
}

/// Names both sides, so that a reader of the log finds where the keys went.
fn event(copied: &Copied, (old, new): &(VerifierKey, VerifierKey)) -> Event {
    let token = |report: &RewrapReport| format!("{} (serial {})", report.token_label, report.token_serial);
    let (from, to) = (copied.report(RewrapSide::Old), copied.report(RewrapSide::New));
    let keys = u64::try_from(copied.keys()).unwrap_or(u64::MAX);
    Event {
        operation: REWRAP.name,
        actor: Actor::local(),
        request: None,
        key: None,
        input: Some(Input::Fields(vec![
            ("keys", Value::Number(keys)),
            ("from_token", Value::Text(token(&from))),
            ("from_kek", Value::Text(from.kek_id)),
            ("from_scheme", Value::Text(format!("{}/{}", from.scheme, from.variant))),
            ("from_checkpoint_key", Value::Text(old.to_string())),
            ("to_token", Value::Text(token(&to))),
            ("to_kek", Value::Text(to.kek_id)),
            ("to_scheme", Value::Text(format!("{}/{}", to.scheme, to.variant))),
            ("to_checkpoint_key", Value::Text(new.to_string())),
        ])),
        code: "ok",
    }
}
