//! Which keys of an EOA a rotation schedule is for.

use std::fmt;
use std::str::FromStr;

use super::name::{KeyName, NameError};

/// Which keys of an EOA a schedule is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScheduleScope {
    /// All that have no schedule of their own; written `*`, which is no key's name.
    All,
    /// One.
    One(KeyName),
}

impl fmt::Display for ScheduleScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::One(name) => fmt::Display::fmt(name, f),
        }
    }
}

impl FromStr for ScheduleScope {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "*" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}
