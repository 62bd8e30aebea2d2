//! What a key is called and what may be done with it: [`Eoa`], [`KeyName`], [`Version`], [`KeyState`], [`Life`],
//! [`Binding`], [`Schedule`].
//!
//! Pure values and decisions. Not for: storage (`store`), permissions (`auth`), or anything secret (`hsm`).

mod binding;
mod eoa;
mod event;
mod life;
mod name;
mod schedule;
mod state;
mod version;

pub use binding::{Binding, Registry};
pub use eoa::{AddressError, Eoa};
pub use event::EventKind;
pub use life::{Change, Life, Refusal, Stage, Standing, Step};
pub use name::{KeyName, NameError};
pub use schedule::{Dates, MOST_DAYS, OVERLAP_DAYS, RetireOn, SHORT_OVERLAP_DAYS, Schedule, days, later};
pub use state::{KeyState, SigningRefusal, UnknownState, Version, VersionSelector};
pub use version::{KeyVersion, Registration, Reservation, VersionTimestamps};
