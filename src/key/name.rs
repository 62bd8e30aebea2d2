//! Name of a key among the keys of one EOA.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// 1 to 64 characters of `a-z0-9._-`, other than `.` and `..`. The default is `default`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(String);

/// Error of parsing a key name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key name is 1 to 64 characters of a-z, 0-9, dot, underscore and hyphen, and not . or ..")]
pub struct NameError;

impl KeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for KeyName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for KeyName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        // Clients and proxies take the dots out of a path: the request would be about another one.
        let is_path = text == "." || text == "..";
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) && !is_path {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError)
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn names_within_alphabet_and_length_are_accepted() {
        for text in ["default", "a", "0", "eigenda.set-1_x", "...", ".a", &"z".repeat(64)] {
            assert_eq!(text.parse::<KeyName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", ".", "..", "A", "a b", "ä", "a/b", "а", "a\n", "%2e", &"z".repeat(65)] {
            assert_eq!(text.parse::<KeyName>(), Err(NameError), "{text}");
        }
    }
}
