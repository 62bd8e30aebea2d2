//! Error of a command: the message for the terminal, and the exit status.

use std::error::Error;
use std::fmt;

use super::exit::ExitStatus;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(super) struct CliError {
    message: String,
    status: ExitStatus,
    /// Whether the token could not be opened.
    of_token: bool,
}

impl CliError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: ExitStatus::Failed, of_token: false }
    }

    /// Wrong arguments or configuration.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(message).with_status(ExitStatus::Usage)
    }

    /// Something was examined, and is missing or doubtful.
    pub(super) fn doubtful(message: impl Into<String>) -> Self {
        Self::new(message).with_status(ExitStatus::Doubtful)
    }

    /// What failed, and the error with all its causes. Some libraries repeat a cause in the error
    /// above it: it is printed once.
    pub(super) fn context(what: impl fmt::Display, error: &(dyn Error + 'static)) -> Self {
        let mut message = what.to_string();
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            if let Some(advice) = error.downcast_ref::<hsm::TokenError>().and_then(hsm::TokenError::advice) {
                message.push_str(&format!(" ({}); {}", advice.cause, advice.cure));
            }
            next = error.source();
        }
        Self::new(message)
    }

    /// An error of the token: a refused PIN has an exit status of its own, so that no supervisor
    /// tries it again until the token locks.
    pub(super) fn token(what: impl fmt::Display, error: &hsm::OpenError) -> Self {
        let failed = Self { of_token: true, ..Self::context(what, error) };
        if let hsm::OpenError::ModuleMissing { .. } = error {
            return failed.with_hint(MODULE_CURE);
        }
        if let Some(cure) = lease_cure(error) {
            return failed.with_hint(cure).with_status(ExitStatus::TokenInUse);
        }
        let Some(cure) = pin_cure(error) else { return failed };
        failed.with_hint(cure).with_status(ExitStatus::PinRefused)
    }

    /// A refused PIN that another process met.
    pub(super) fn pin_refused(message: String) -> Self {
        Self::new(message).with_status(ExitStatus::PinRefused)
    }

    /// Whether the token refused the PIN, or would lock it.
    pub(super) fn is_of_pin(&self) -> bool {
        self.status == ExitStatus::PinRefused
    }

    /// Whether the token could not be opened.
    pub(super) const fn is_of_token(&self) -> bool {
        self.of_token
    }

    /// Adds what to do.
    pub(in crate::cli) fn with_hint(mut self, hint: &str) -> Self {
        self.message.push_str("; ");
        self.message.push_str(hint);
        self
    }

    fn with_status(mut self, status: ExitStatus) -> Self {
        self.status = status;
        self
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) const fn status(&self) -> ExitStatus {
        self.status
    }
}

const MODULE_CURE: &str = "pkcs11.module must name the vendor's PKCS#11 library, built for this processor, and \
                           the libraries that it needs must be installed";

/// What to do about a refused PIN; none for every other error.
#[allow(clippy::wildcard_enum_match_arm)] // only these four concern the PIN
const fn pin_cure(error: &hsm::OpenError) -> Option<&'static str> {
    match error {
        hsm::OpenError::WrongPin | hsm::OpenError::PinRefusedBefore { .. } => Some(
            "correct the PIN file (pkcs11.pin_file): a start tries a changed PIN; \
             if the PIN of the token was changed instead, run `avs-kms doctor --try-pin` once",
        ),
        hsm::OpenError::PinFinalTry => {
            Some("compare the PIN file with the token's PIN, then run `avs-kms doctor --try-pin` once")
        }
        hsm::OpenError::PinLocked => Some("then store the new PIN in the PIN file (pkcs11.pin_file)"),
        _ => None,
    }
}

/// What to do about a token that another process uses; none for every other error.
#[allow(clippy::wildcard_enum_match_arm)] // only these say that another process has the token
const fn lease_cure(error: &hsm::OpenError) -> Option<&'static str> {
    match error {
        hsm::OpenError::TokenInUse { .. } | hsm::OpenError::AlreadyRunning { .. } => Some(
            "one process at a time uses a token: stop that one, then start this one; \
             if both are wanted, give this one a token and keys of its own",
        ),
        hsm::OpenError::TokenOfOtherInstallation { .. } => Some(
            "give this installation a token of its own; if the other one is gone for good, \
             repeat `serve` or `init` once with `--take-over-token`; the audit log records it",
        ),
        _ => None,
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
        let said = |error: &(dyn Error + 'static)| CliError::context("starting", error).message;
        assert_eq!(said(&full()), "starting: the disk is full");
        assert_eq!(said(&Repeats(full())), "starting: cannot write: the disk is full");
    }

    #[test]
    fn a_refused_pin_has_an_exit_status_of_its_own() {
        let status = |error| CliError::token("cannot open the token", &error).status().code();
        assert_eq!(status(hsm::OpenError::WrongPin), 4);
        assert_eq!(status(hsm::OpenError::PinLocked), 4);
        assert_eq!(status(hsm::OpenError::PinFinalTry), 4);
        assert_eq!(status(hsm::OpenError::PinRefusedBefore { record: "pin-refused".into() }), 4);
        assert_eq!(status(hsm::OpenError::KekMissing { label: String::new() }), 1);
        assert_eq!(status(hsm::OpenError::TokenInUse { holder: String::new() }), 5);
        assert_eq!(status(hsm::OpenError::AlreadyRunning { lock: "tokens".into(), holder: None }), 5);
        assert_eq!(status(hsm::OpenError::TokenOfOtherInstallation { holder: String::new() }), 5);
        assert_eq!(CliError::usage("").status().code(), 2);
        assert_eq!(CliError::doubtful("").status().code(), 3);
    }
}
