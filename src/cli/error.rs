//! The error of a command: the sentence for the terminal, and the exit code.

use std::error::Error;
use std::fmt;

/// A command that did not work: the sentence for the terminal, and the exit code.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) sentence: String,
    pub(super) code: u8,
}

impl Failed {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: 1 }
    }

    /// Says what to do, too.
    pub(super) fn hinting(mut self, hint: &str) -> Self {
        self.sentence.push_str(hint);
        self
    }

    pub(super) fn usage(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: 2 }
    }

    /// Examined, and something is missing or doubtful.
    pub(super) fn incomplete(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: 3 }
    }

    /// What was tried, and the error with all that caused it. Some libraries repeat a cause in the error above it: once
    /// is enough.
    pub(super) fn while_trying(what: impl fmt::Display, error: &(dyn Error + 'static)) -> Self {
        let mut sentence = what.to_string();
        let mut next = Some(error);
        while let Some(error) = next {
            let said = error.to_string();
            if !sentence.contains(&said) {
                sentence.push_str(": ");
                sentence.push_str(&said);
            }
            next = error.source();
        }
        Self::new(sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write: {0}")]
    struct Repeats(#[source] std::io::Error);

    #[test]
    fn a_cause_is_said_once_and_none_is_left_out() {
        let full = || std::io::Error::other("the disk is full");
        let said = |error: &(dyn Error + 'static)| Failed::while_trying("starting", error).sentence;
        assert_eq!(said(&full()), "starting: the disk is full");
        assert_eq!(said(&Repeats(full())), "starting: cannot write: the disk is full");
    }
}
