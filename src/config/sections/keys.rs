//! `[keys]`.

use crate::config::kinds::Choice;
use crate::config::section_macro::section;

section! {
    /// The wrapped keys.
    ["keys"]
    pub struct Keys {
        /// Place of the wrapped records: data objects of the token, or rows of the store. With `auto`,
        /// `init` takes the token if it takes data objects, else the store, and the service keeps to
        /// it. Any other value refuses another place. `store` suits a token with space for few objects.
        location: Location = "auto", Choice(LOCATIONS);
    }
}

/// Where the wrapped records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// The token if it takes data objects.
    Auto,
    /// Data objects of the token.
    Token,
    /// Rows of the store.
    Store,
}

const LOCATIONS: &[(&str, Location)] =
    &[("auto", Location::Auto), ("token", Location::Token), ("store", Location::Store)];
