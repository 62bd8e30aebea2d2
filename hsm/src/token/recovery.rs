//! What to do about a call that failed: a pure table from (call, return code, canary, attempt) to an action. Not for
//! doing it. facts: PKCS#11 modules say GENERAL_ERROR of tampering and of trouble alike, so where a code is no proof the
//! canary record decides.

use cryptoki_sys::*;

use crate::pkcs11::{Call, TokenError};

/// What the canary record said about the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canary {
    NotAsked,
    Good,
    Bad,
}

/// What is to be done next. The session that saw the error is thrown away in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Once more on a new session.
    Retry,
    /// Look whether login and key-encryption key are still there, and renew them; then once more.
    LogIn,
    /// Finalize, initialise, find the token again, log in; then once more.
    Reinitialise,
    /// Check the canary on a new session and ask again.
    AskCanary,
    /// This record is bad and the token is well: refuse this key only.
    KeyCorrupt,
    /// The token refuses this one operation and is well: report it, change nothing.
    Refuse,
    /// Nothing a program should try again: wait for the operator.
    Stop,
}

/// The table. `attempt` counts from 1; nothing is tried a third time.
pub(crate) fn decide(error: TokenError, canary: Canary, attempt: u32) -> Action {
    let again = |action| if attempt == 1 { action } else { by_canary(error.call, canary, attempt) };
    match error.code.0 {
        // The session is spent, nothing else.
        CKR_OPERATION_ACTIVE
        | CKR_OPERATION_NOT_INITIALIZED
        | CKR_OPERATION_CANCEL_FAILED
        | CKR_BUFFER_TOO_SMALL
        | CKR_FUNCTION_CANCELED
        | CKR_CANCEL
        | CKR_SESSION_HANDLE_INVALID
        | CKR_SESSION_CLOSED => again(Action::Retry),

        // Login or handles are gone.
        CKR_KEY_HANDLE_INVALID
        | CKR_OBJECT_HANDLE_INVALID
        | CKR_UNWRAPPING_KEY_HANDLE_INVALID
        | CKR_USER_NOT_LOGGED_IN => match attempt {
            1 => Action::LogIn,
            _ => Action::Reinitialise,
        },

        // The module was finalized behind our back, or this caller's handles are of an earlier initialisation.
        CKR_CRYPTOKI_NOT_INITIALIZED => Action::Reinitialise,

        // The PIN is tried once; whoever changed it must tell us.
        CKR_PIN_INCORRECT
        | CKR_PIN_INVALID
        | CKR_PIN_LEN_RANGE
        | CKR_PIN_EXPIRED
        | CKR_PIN_LOCKED
        | CKR_USER_PIN_NOT_INITIALIZED => Action::Stop,

        // The token's policy is not the one that was probed at start.
        CKR_MECHANISM_INVALID
        | CKR_MECHANISM_PARAM_INVALID
        | CKR_KEY_FUNCTION_NOT_PERMITTED
        | CKR_KEY_TYPE_INCONSISTENT
        | CKR_KEY_SIZE_RANGE
        | CKR_FUNCTION_NOT_SUPPORTED
        | CKR_FUNCTION_REJECTED => Action::Stop,

        // One object was refused: a creation fails, signing goes on.
        CKR_TEMPLATE_INCOMPLETE
        | CKR_TEMPLATE_INCONSISTENT
        | CKR_ATTRIBUTE_READ_ONLY
        | CKR_ATTRIBUTE_SENSITIVE
        | CKR_ATTRIBUTE_TYPE_INVALID
        | CKR_ATTRIBUTE_VALUE_INVALID
        | CKR_ACTION_PROHIBITED
        | CKR_SESSION_READ_ONLY
        | CKR_TOKEN_WRITE_PROTECTED
        | CKR_SESSION_COUNT
        | CKR_DEVICE_MEMORY
        | CKR_TOKEN_RESOURCE_EXCEEDED
        | CKR_RANDOM_NO_RNG => Action::Refuse,

        // Tampering and trouble look alike here: TOKEN_NOT_PRESENT, DEVICE_*, GENERAL_ERROR, FUNCTION_FAILED,
        // HOST_MEMORY, ENCRYPTED_DATA_*, AEAD_DECRYPT_FAILED, and everything no table knows.
        _ => by_canary(error.call, canary, attempt),
    }
}

fn by_canary(call: Call, canary: Canary, attempt: u32) -> Action {
    match (canary, attempt) {
        (Canary::NotAsked, _) => Action::AskCanary,
        (Canary::Bad, _) => Action::Reinitialise,
        (Canary::Good, 1) => Action::Retry,
        (Canary::Good, _) if matches!(call, Call::Decrypt | Call::DecryptInit) => Action::KeyCorrupt,
        (Canary::Good, _) => Action::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pkcs11::Code;

    fn says(call: Call, code: u64, canary: Canary, attempt: u32) -> Action {
        decide(TokenError { call, code: Code(code) }, canary, attempt)
    }

    #[test]
    fn a_spent_session_costs_one_retry_and_then_the_canary_decides() {
        for code in [CKR_OPERATION_ACTIVE, CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED] {
            assert_eq!(says(Call::Decrypt, code, Canary::NotAsked, 1), Action::Retry);
            assert_eq!(says(Call::Decrypt, code, Canary::NotAsked, 2), Action::AskCanary);
            assert_eq!(says(Call::Decrypt, code, Canary::Bad, 2), Action::Reinitialise);
        }
    }

    #[test]
    fn lost_handles_and_a_lost_login_are_renewed_first_and_reinitialised_second() {
        for code in [CKR_KEY_HANDLE_INVALID, CKR_OBJECT_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN] {
            assert_eq!(says(Call::DecryptInit, code, Canary::NotAsked, 1), Action::LogIn);
            assert_eq!(says(Call::DecryptInit, code, Canary::NotAsked, 2), Action::Reinitialise);
        }
    }

    #[test]
    fn an_ambiguous_code_marks_a_key_only_twice_in_a_row_and_with_a_good_canary() {
        for code in [
            CKR_GENERAL_ERROR,
            CKR_DEVICE_ERROR,
            CKR_FUNCTION_FAILED,
            CKR_ENCRYPTED_DATA_INVALID,
            CKR_AEAD_DECRYPT_FAILED,
            0x8000_0001,
        ] {
            assert_eq!(says(Call::Decrypt, code, Canary::NotAsked, 1), Action::AskCanary);
            assert_eq!(says(Call::Decrypt, code, Canary::Bad, 1), Action::Reinitialise);
            assert_eq!(says(Call::Decrypt, code, Canary::Good, 1), Action::Retry);
            assert_eq!(says(Call::Decrypt, code, Canary::Good, 2), Action::KeyCorrupt);
            assert_eq!(says(Call::CreateObject, code, Canary::Good, 2), Action::Refuse);
        }
    }

    #[test]
    fn a_refused_pin_stops_whatever_the_canary_and_the_attempt() {
        for code in [CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_PIN_EXPIRED] {
            for canary in [Canary::NotAsked, Canary::Good, Canary::Bad] {
                for attempt in [1, 2] {
                    assert_eq!(says(Call::Login, code, canary, attempt), Action::Stop);
                }
            }
        }
    }

    #[test]
    fn no_code_is_retried_on_the_second_attempt_and_no_answer_asks_the_canary_twice() {
        for call in Call::ALL {
            for code in Code::NAMED.iter().chain([&Code(0x8000_0042)]) {
                for canary in [Canary::NotAsked, Canary::Good, Canary::Bad] {
                    let action = decide(TokenError { call: *call, code: *code }, canary, 2);
                    assert!(!matches!(action, Action::Retry | Action::LogIn), "{call} {code}");
                    if canary != Canary::NotAsked {
                        assert_ne!(action, Action::AskCanary, "{call} {code}");
                    }
                }
            }
        }
    }
}
