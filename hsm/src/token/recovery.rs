//! The recovery table: from function, cause, canary and attempt to the next step. Pure; not for taking it.
//!
//! Modules return `CKR_GENERAL_ERROR` for tampering and for transient failures alike. Where a code proves nothing, the
//! canary record tells them apart.

use cryptoki::error::RvError;

use crate::pkcs11::{
    AEAD_DECRYPT_FAILED, Cause, Function, OPERATION_CANCEL_FAILED, ReturnCode, TOKEN_RESOURCE_EXCEEDED,
    TokenError,
};

/// What the canary record said about the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canary {
    NotChecked,
    Good,
    Bad,
}

/// What follows a failed call. The session that saw the error is thrown away in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// Once more on a new session.
    Retry,
    /// Look whether login and key-encryption key are still there, and renew them; then once more.
    LogIn,
    /// Finalize, initialise, find the token again, log in; then once more.
    Reinitialise,
    /// Check the canary on a new session and consult the table again.
    CheckCanary,
    /// The token is well and this record seems bad: refuse this key until it opens again.
    SuspectKey,
    /// The token has no space for another object: report it, change nothing.
    Full,
    /// The token refuses this one operation and is well: report it, change nothing.
    Refuse,
    /// Nothing a program should try again: wait for the operator.
    Stop,
}

impl NextStep {
    /// Its name in the log.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::LogIn => "log in",
            Self::Reinitialise => "reinitialise",
            Self::CheckCanary => "check the canary",
            Self::SuspectKey => "refuse this key",
            Self::Full => "refuse: the token is full",
            Self::Refuse => "refuse",
            Self::Stop => "stop",
        }
    }
}

/// The table. `attempt` counts from 1; nothing is tried a third time.
pub(crate) fn decide(error: TokenError, canary: Canary, attempt: u32) -> NextStep {
    match error.cause {
        Cause::Refused(ReturnCode(code)) => by_code(code, error.function, canary, attempt),
        // This caller's session is of an earlier initialisation.
        Cause::Stale => NextStep::Reinitialise,
        Cause::Unsupported => NextStep::Stop,
        // An answer that cannot be right is as doubtful as a code that proves nothing.
        Cause::ProtocolViolation(_) => by_canary(canary, attempt, suspects(error.function, None)),
        Cause::Busy => by_canary(canary, attempt, NextStep::Refuse),
    }
}

#[allow(clippy::wildcard_enum_match_arm)] // the canary decides about everything that the table does not name
fn by_code(code: RvError, function: Function, canary: Canary, attempt: u32) -> NextStep {
    use RvError as R;
    match code {
        // The session is spent, nothing else.
        R::OperationActive
        | R::OperationNotInitialized
        | OPERATION_CANCEL_FAILED
        | R::BufferTooSmall
        | R::FunctionCanceled
        | R::Cancel
        | R::SessionHandleInvalid
        | R::SessionClosed => match attempt {
            1 => NextStep::Retry,
            _ => by_canary(canary, attempt, NextStep::Refuse),
        },
        // Login or handles are gone.
        R::KeyHandleInvalid | R::ObjectHandleInvalid | R::UnwrappingKeyHandleInvalid | R::UserNotLoggedIn => {
            match attempt {
                1 => NextStep::LogIn,
                _ => NextStep::Reinitialise,
            }
        }
        // Something else in this process has finalized the module.
        R::CryptokiNotInitialized => NextStep::Reinitialise,
        // The PIN is tried once; after a change of the PIN an operator must act.
        R::PinIncorrect
        | R::PinInvalid
        | R::PinLenRange
        | R::PinExpired
        | R::PinLocked
        | R::UserPinNotInitialized => NextStep::Stop,
        // The token's policy is not the one that was probed at start.
        R::MechanismInvalid
        | R::MechanismParamInvalid
        | R::KeyFunctionNotPermitted
        | R::KeyTypeInconsistent
        | R::KeySizeRange
        | R::FunctionNotSupported
        | R::FunctionRejected => NextStep::Stop,
        // One object was refused: a creation fails, signing continues.
        R::TemplateIncomplete
        | R::TemplateInconsistent
        | R::AttributeReadOnly
        | R::AttributeSensitive
        | R::AttributeTypeInvalid
        | R::AttributeValueInvalid
        | R::ActionProhibited
        | R::SessionReadOnly
        | R::TokenWriteProtected
        | R::SessionCount
        | R::RandomNoRng => NextStep::Refuse,
        // The token is full: no session, no login and no repetition makes space.
        R::DeviceMemory | TOKEN_RESOURCE_EXCEEDED => NextStep::Full,
        // Tampering and transient failures look alike here: TokenNotPresent, Device…, GeneralError, FunctionFailed,
        // HostMemory, EncryptedData…, and every code that no table knows.
        _ => by_canary(canary, attempt, suspects(function, Some(code))),
    }
}

/// `at_last`: what follows a second failure beside a good canary.
const fn by_canary(canary: Canary, attempt: u32, at_last: NextStep) -> NextStep {
    match (canary, attempt) {
        (Canary::NotChecked, _) => NextStep::CheckCanary,
        (Canary::Bad, _) => NextStep::Reinitialise,
        (Canary::Good, 1) => NextStep::Retry,
        (Canary::Good, _) => at_last,
    }
}

/// Only C_Decrypt speaks of the record, and only with a code about data or one that can mean anything. Codes about
/// session, login or device are the token's trouble, however often they come.
#[allow(clippy::wildcard_enum_match_arm)] // every other code speaks of something else
const fn suspects(function: Function, code: Option<RvError>) -> NextStep {
    use RvError as R;
    match (function, code) {
        (
            Function::Decrypt,
            None
            | Some(
                R::EncryptedDataInvalid
                | R::EncryptedDataLenRange
                | R::DataInvalid
                | R::DataLenRange
                | R::GeneralError
                | R::FunctionFailed
                | R::DeviceError
                | AEAD_DECRYPT_FAILED
                | R::VendorDefined(_),
            ),
        )
        // S6 opens records by a MAC of the token, and this program checks the tag.
        | (Function::Sign, None) => NextStep::SuspectKey,
        _ => NextStep::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::error::Rv;

    use super::*;

    const CANARIES: [Canary; 3] = [Canary::NotChecked, Canary::Good, Canary::Bad];

    fn next(function: Function, code: RvError, canary: Canary, attempt: u32) -> NextStep {
        decide(TokenError { function, cause: Cause::Refused(ReturnCode(code)) }, canary, attempt)
    }

    #[test]
    fn a_spent_session_costs_one_retry_and_then_the_canary_decides() {
        for code in [RvError::OperationActive, RvError::SessionHandleInvalid, RvError::SessionClosed] {
            assert_eq!(next(Function::Decrypt, code, Canary::NotChecked, 1), NextStep::Retry);
            assert_eq!(next(Function::Decrypt, code, Canary::NotChecked, 2), NextStep::CheckCanary);
            assert_eq!(next(Function::Decrypt, code, Canary::Bad, 2), NextStep::Reinitialise);
        }
    }

    #[test]
    fn lost_handles_and_a_lost_login_are_renewed_first_and_reinitialised_second() {
        for code in [RvError::KeyHandleInvalid, RvError::ObjectHandleInvalid, RvError::UserNotLoggedIn] {
            assert_eq!(next(Function::DecryptInit, code, Canary::NotChecked, 1), NextStep::LogIn);
            assert_eq!(next(Function::DecryptInit, code, Canary::NotChecked, 2), NextStep::Reinitialise);
        }
    }

    #[test]
    fn an_ambiguous_code_marks_a_key_only_twice_in_a_row_and_with_a_good_canary() {
        for code in [
            RvError::GeneralError,
            RvError::DeviceError,
            RvError::FunctionFailed,
            RvError::EncryptedDataInvalid,
            AEAD_DECRYPT_FAILED,
            RvError::VendorDefined(0x8000_0001),
        ] {
            assert_eq!(next(Function::Decrypt, code, Canary::NotChecked, 1), NextStep::CheckCanary);
            assert_eq!(next(Function::Decrypt, code, Canary::Bad, 1), NextStep::Reinitialise);
            assert_eq!(next(Function::Decrypt, code, Canary::Good, 1), NextStep::Retry);
            assert_eq!(next(Function::Decrypt, code, Canary::Good, 2), NextStep::SuspectKey);
            assert_eq!(next(Function::CreateObject, code, Canary::Good, 2), NextStep::Refuse);
        }
    }

    #[test]
    fn a_key_is_suspected_only_by_what_c_decrypt_says_of_data() {
        let codes = (1..0x400).chain([0x8000_0042]).filter_map(|code| match Rv::from(code) {
            Rv::Error(code) => Some(code),
            Rv::Ok => None,
        });
        for code in codes {
            for function in Function::ALL {
                for attempt in [1, 2] {
                    let step = next(*function, code, Canary::Good, attempt);
                    let of_data = matches!(
                        code,
                        RvError::EncryptedDataInvalid
                            | RvError::EncryptedDataLenRange
                            | RvError::DataInvalid
                            | RvError::DataLenRange
                            | RvError::GeneralError
                            | RvError::FunctionFailed
                            | RvError::DeviceError
                            | AEAD_DECRYPT_FAILED
                            | RvError::VendorDefined(_)
                    );
                    let suspected = *function == Function::Decrypt && attempt == 2 && of_data;
                    assert_eq!(step == NextStep::SuspectKey, suspected, "{function} {code:?} {attempt}");
                }
            }
        }
    }

    #[test]
    fn a_full_token_is_neither_asked_again_nor_renewed() {
        for code in [RvError::DeviceMemory, TOKEN_RESOURCE_EXCEEDED] {
            for canary in CANARIES {
                for attempt in [1, 2] {
                    assert_eq!(next(Function::CreateObject, code, canary, attempt), NextStep::Full);
                }
            }
        }
    }

    #[test]
    fn what_the_service_finds_out_itself_is_no_return_code_and_has_a_row_of_its_own() {
        let violation = TokenError::protocol_violation(Function::Decrypt, "it is wrong");
        assert_eq!(decide(violation, Canary::NotChecked, 1), NextStep::CheckCanary);
        assert_eq!(decide(violation, Canary::Good, 2), NextStep::SuspectKey);
        assert_eq!(violation.code(), None);
        let stale = TokenError { function: Function::Decrypt, cause: Cause::Stale };
        assert_eq!(decide(stale, Canary::NotChecked, 1), NextStep::Reinitialise);
        let unsupported = TokenError { function: Function::Encrypt, cause: Cause::Unsupported };
        assert_eq!(decide(unsupported, Canary::Good, 1), NextStep::Stop);
    }

    #[test]
    fn a_refused_pin_stops_whatever_the_canary_and_the_attempt() {
        for code in [RvError::PinIncorrect, RvError::PinLocked, RvError::PinExpired] {
            for canary in CANARIES {
                for attempt in [1, 2] {
                    assert_eq!(next(Function::Login, code, canary, attempt), NextStep::Stop);
                }
            }
        }
    }

    #[test]
    fn no_code_is_retried_on_the_second_attempt_and_no_answer_checks_the_canary_twice() {
        // Every number up to the last of the standard, and one of a vendor.
        let codes = (1..0x400).chain([0x8000_0042]).map(|code| match Rv::from(code) {
            Rv::Error(code) => Cause::Refused(ReturnCode(code)),
            Rv::Ok => unreachable!("only 0 is CKR_OK"),
        });
        let own = [Cause::ProtocolViolation(""), Cause::Unsupported, Cause::Stale, Cause::Busy];
        let causes: Vec<_> = codes.chain(own).collect();
        for function in Function::ALL {
            for cause in &causes {
                for canary in CANARIES {
                    let step = decide(TokenError { function: *function, cause: *cause }, canary, 2);
                    assert!(!matches!(step, NextStep::Retry | NextStep::LogIn), "{function} {cause}");
                    if canary != Canary::NotChecked {
                        assert_ne!(step, NextStep::CheckCanary, "{function} {cause}");
                    }
                }
            }
        }
    }
}
