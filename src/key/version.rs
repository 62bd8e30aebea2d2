//! A version of a key, as the store keeps it. Plain values.

use hsm::{KeyId, PublicKey};
use jiff::Timestamp;

use super::binding::Binding;
use super::eoa::Eoa;
use super::life::Standing;
use super::name::KeyName;
use super::state::{KeyState, Version};

/// One version of a key that exists in the token.
#[derive(Clone, Debug)]
pub struct KeyVersion {
    /// Its record in the token.
    pub id: KeyId,
    /// Its owner.
    pub eoa: Eoa,
    /// Its name among the owner's keys.
    pub name: KeyName,
    /// Its number.
    pub version: Version,
    /// Where it stands in its life.
    pub standing: Standing,
    /// Its public key.
    pub public_key: PublicKey,
    /// Where it is registered or will be, if it is bound.
    pub binding: Option<Binding>,
    /// What the registry said last.
    pub registration: Option<Registration>,
    /// When what happened; whole seconds.
    pub times: VersionTimestamps,
}

/// When what happened to a version; `None` for what has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionTimestamps {
    /// Its creation was complete.
    pub created: Timestamp,
    /// It became current.
    pub activated: Option<Timestamp>,
    /// It ceased to be current.
    pub superseded: Option<Timestamp>,
    /// It was retired.
    pub retired: Option<Timestamp>,
    /// It is to be destroyed then.
    pub destroy: Option<Timestamp>,
    /// The token confirmed that it is gone.
    pub destroyed: Option<Timestamp>,
    /// The rotation that ends its time as the current version was announced.
    pub announced: Option<Timestamp>,
}

/// What a registry said of a bound version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Whether it holds this very key for the binding.
    pub held: bool,
    /// Since when it has been seen to say so.
    pub since: Timestamp,
}

impl KeyVersion {
    /// The state as api.md has it.
    pub const fn state(&self) -> KeyState {
        self.standing.state()
    }

    /// Whether it was the current version at this time, unix seconds.
    pub(crate) fn was_active_at(&self, second: i64) -> bool {
        let begun = self.times.activated.is_some_and(|begin| begin.as_second() <= second);
        begun && self.times.superseded.is_none_or(|end| second < end.as_second())
    }
}

/// A version whose creation was begun. It has a number and an id, and nobody was told of it.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// The record in the token that there may be.
    pub id: KeyId,
    /// The owner.
    pub eoa: Eoa,
    /// The name.
    pub name: KeyName,
    /// The number.
    pub version: Version,
    /// Where it will be registered.
    pub binding: Option<Binding>,
}
