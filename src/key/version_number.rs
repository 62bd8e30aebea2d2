//! Version numbers of a key, and how a request selects a version.

use std::fmt;
use std::num::NonZeroU32;

/// Number of a version of a key, from 1. A number is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyVersionNumber(NonZeroU32);

impl KeyVersionNumber {
    /// The first version of every key.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The version with this number, unless it is 0.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for KeyVersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The version of a key that a request selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionSelector {
    /// The active version. The default.
    Current,
    /// The newest pending version.
    Next,
    /// The version with this number.
    Number(KeyVersionNumber),
    /// The version that was active at this time, unix seconds.
    ActiveAt(i64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_zero_does_not_exist() {
        assert_eq!(KeyVersionNumber::new(0), None);
        assert_eq!(KeyVersionNumber::new(1), Some(KeyVersionNumber::FIRST));
    }
}
