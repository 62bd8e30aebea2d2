//! Names, versions, states and schedules of keys: [`Eoa`], [`KeyName`], [`KeyVersion`],
//! [`KeyState`], [`KeyLifecycle`], [`Binding`], [`Schedule`].
//!
//! Pure values and decisions. Not for: storage (`store`), permissions (`auth`), or secrets (`hsm`).

mod binding;
mod eoa;
mod event;
mod freeze;
mod intent_ref;
mod lifecycle;
mod name;
mod schedule;
mod schedule_scope;
mod state;
mod transition_table;
mod version;
mod version_number;

pub use binding::{Binding, Registry};
pub use eoa::{AddressError, Eoa};
pub use event::EventKind;
pub use freeze::Freeze;
pub use intent_ref::IntentRef;
pub use lifecycle::{
    KeyLifecycle, LifecycleAction, LifecycleState, Transition, TransitionError, VersionStatus,
};
pub use name::{KeyName, NameError};
pub use schedule::{
    MOST_DAYS, OVERLAP_DAYS, RetireOn, RotationDates, SHORT_OVERLAP_DAYS, Schedule, days, later,
};
pub use schedule_scope::ScheduleScope;
pub use state::{KeyState, SigningRefusal, UnknownState};
pub use transition_table::{Authority, TRANSITIONS, TransitionRule, Undo};
pub use version::{KeyVersion, Registration, Reservation, VersionTimestamps};
pub use version_number::{KeyVersionNumber, VersionSelector};
