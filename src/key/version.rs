//! Version of a key, as the store keeps it. Plain values. Not for: rows of the store.

use hsm::{KeyId, PublicKey};
use jiff::Timestamp;

use super::binding::Binding;
use super::eoa::Eoa;
use super::intent_ref::IntentRef;
use super::lifecycle::VersionStatus;
use super::name::KeyName;
use super::state::KeyState;
use super::version_number::KeyVersionNumber;

/// One version of a key that exists in the token.
#[derive(Clone, Debug)]
pub struct KeyVersion {
    /// Id of its record in the token.
    pub id: KeyId,
    /// Owner.
    pub eoa: Eoa,
    /// Name among the keys of the owner.
    pub name: KeyName,
    /// Version number.
    pub version: KeyVersionNumber,
    /// Status in the lifecycle.
    pub status: VersionStatus,
    /// Public key.
    pub public_key: PublicKey,
    /// Registry entry that it is bound to, if it is bound.
    pub binding: Option<Binding>,
    /// Last reply of the registry.
    pub registration: Option<Registration>,
    /// Times of its transitions, whole seconds.
    pub times: VersionTimestamps,
    /// What asked for its destruction: without it nothing is destroyed.
    pub destroy_intent: Option<IntentRef>,
}

/// Times of the transitions of a version; `None` for those that have not happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionTimestamps {
    /// Creation completed.
    pub created: Timestamp,
    /// The version became current.
    pub activated: Option<Timestamp>,
    /// Another version became current.
    pub superseded: Option<Timestamp>,
    /// The version was retired.
    pub retired: Option<Timestamp>,
    /// Date of the scheduled destruction.
    pub destroy: Option<Timestamp>,
    /// The token confirmed the destruction.
    pub destroyed: Option<Timestamp>,
    /// The rotation to the next version was announced.
    pub announced: Option<Timestamp>,
}

/// Reply of a registry about a bound version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Whether the registry holds this key for the binding.
    pub held: bool,
    /// First time that the registry gave this reply.
    pub since: Timestamp,
}

impl KeyVersion {
    /// The state that the API shows.
    pub const fn state(&self) -> KeyState {
        self.status.state()
    }

    /// Whether the version was current at this time, unix seconds.
    pub(crate) fn was_active_at(&self, second: i64) -> bool {
        let VersionTimestamps { created, activated, superseded, .. } = self.times;
        let begun = activated.is_some_and(|begin| begin.as_second() <= second);
        match superseded {
            // Activated again after another version: it was current before that one, too.
            Some(end) if activated.is_some_and(|begin| end < begin) => {
                begun || created.as_second() <= second && second < end.as_second()
            }
            Some(end) => begun && second < end.as_second(),
            None => begun,
        }
    }

    /// Whether a registry may have held this version: one that held it accepts it no second time.
    pub fn may_have_been_registered(&self) -> bool {
        let since_before = |since| self.times.activated.is_some_and(|activated| since <= activated);
        self.registration.is_some_and(|answer| answer.held || !since_before(answer.since))
    }
}

/// A version whose creation has begun. It has a number and an id; no client has seen it.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// Id of the record that the token may hold.
    pub id: KeyId,
    /// The owner.
    pub eoa: Eoa,
    /// The name.
    pub name: KeyName,
    /// The number.
    pub version: KeyVersionNumber,
    /// Registry entry that it will be bound to.
    pub binding: Option<Binding>,
}
