//! What a key is called and what may be done with it: [`Eoa`], [`KeyName`], [`Version`], [`KeyState`].
//!
//! Pure values and decisions. Not for: storage (`store`), permissions (`auth`), or anything secret (`hsm`).

mod eoa;
mod name;
mod state;

pub use eoa::{AddressError, Eoa};
pub use name::{KeyName, NameError};
pub use state::{KeyState, SigningRefusal, Version, VersionSelector};
