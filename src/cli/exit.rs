//! Exit statuses of every command.

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// The command did what it was asked.
    Done,
    /// It failed; the message says what happened and what to do.
    Failed,
    /// Wrong arguments, or a configuration that is not valid.
    Usage,
    /// It examined what it was asked to, and something is missing or doubtful.
    Doubtful,
    /// The token refused the PIN, or would lock it at the next wrong one.
    PinRefused,
    /// Another process has the token's lease.
    TokenInUse,
}

impl ExitStatus {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Done, Self::Failed, Self::Usage, Self::Doubtful, Self::PinRefused, Self::TokenInUse];

    /// The number for the shell.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Doubtful => 3,
            Self::PinRefused => 4,
            Self::TokenInUse => 5,
        }
    }

    /// What it means, for the help.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "wrong usage or configuration",
            Self::Doubtful => "examined, and something is missing or doubtful (audit verify, doctor)",
            Self::PinRefused => "the token refused the PIN",
            Self::TokenInUse => "another process uses the token",
        }
    }
}

/// The table at the end of the help.
pub(super) fn help() -> String {
    let rows = ExitStatus::ALL.iter().map(|status| format!("  {}  {}", status.code(), status.meaning()));
    let rows: Vec<_> = rows.collect();
    format!("Exit status:\n{}", rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::{ExitStatus, help};

    #[test]
    fn each_status_has_a_number_of_its_own_and_a_line_in_the_help() {
        let codes = ExitStatus::ALL.map(ExitStatus::code);
        assert_eq!(codes, [0, 1, 2, 3, 4, 5]);
        assert_eq!(help().lines().count(), 1 + codes.len());
    }
}
