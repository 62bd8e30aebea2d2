//! Return codes of PKCS#11 in words: what each means here, and what an operator does. Not for what the service does:
//! `token::recovery`.

use cryptoki::error::{Rv, RvError};

use super::error::{ReturnCode, TokenError};

/// What one return code means, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What happened, as a clause.
    pub cause: &'static str,
    /// What an operator does, as an imperative.
    pub cure: &'static str,
}

/// A code of a vendor.
const VENDOR: Advice =
    Advice { cause: "the code is the vendor's own", cure: "look it up in the vendor's manual" };

const VENDOR_LOG: &str = "read the vendor's log at this time, and ask the vendor with this code";
const DEFECT: &str = "report it with the log: this program made a wrong call, or the module has a defect";
const RETRIED: &str = "none: the service repeats the call on a new session; if it stays, restart the service";
const PIN_FILE: &str = "store the token's user PIN in pkcs11.pin_file";
const MECHANISMS: &str =
    "permit the mechanism in the HSM's policy, or use another slot; `avs-kms doctor` lists what is missing";
const TEMPLATES: &str = "compare the HSM's policy for new objects with docs/guides/hardware-hsm.md";
const TAMPERED: &str = "restore the token from a backup on another machine and compare";
const NETWORK: &str = "check the HSM, its network and the vendor's daemon; the service reconnects by itself";

macro_rules! table {
    ($($code:literal $cause:literal => $cure:expr;)*) => {
        &[$(($code, Advice { cause: $cause, cure: $cure })),*]
    };
}

/// Every code of PKCS#11 3.1 that a call of this program can return, by number.
const TABLE: &[(u64, Advice)] = table! {
    0x01 "the call was cancelled in the HSM"
        => RETRIED;
    0x02 "the module could not get memory"
        => "give the host or the container more memory";
    0x03 "the slot is gone"
        => "check the HSM and the vendor's daemon: slots were renumbered or removed";
    0x05 "the module gives no cause"
        => VENDOR_LOG;
    0x06 "the module could not carry out the call"
        => VENDOR_LOG;
    0x07 "the module refuses the arguments; at C_Initialize it needs a configuration of its own"
        => "set pkcs11.initialize_string (NSS) or pkcs11.environment as the vendor's manual says";
    0x09 "the module needs threads of its own and may not make them"
        => DEFECT;
    0x0A "the module cannot lock by itself"
        => "use a newer version of the module";
    0x10 "the token forbids setting an attribute"
        => TEMPLATES;
    0x11 "the token does not show an attribute"
        => TEMPLATES;
    0x12 "the token does not know an attribute"
        => TEMPLATES;
    0x13 "the token refuses the value of an attribute, or the kind of object"
        => TEMPLATES;
    0x1B "the token forbids the action on this object"
        => TEMPLATES;
    0x20 "the token refuses the data"
        => DEFECT;
    0x21 "the token refuses the length of the data"
        => DEFECT;
    0x30 "the HSM reports a fault of its own"
        => NETWORK;
    0x31 "the token is full"
        => "destroy keys that are not needed, or make space with the vendor's tools; with SoftHSM, on the disk";
    0x32 "the token was removed"
        => NETWORK;
    0x40 "the HSM does not accept a ciphertext: it was changed, or another key made it"
        => TAMPERED;
    0x41 "the HSM does not accept the length of a ciphertext"
        => TAMPERED;
    0x42 "the tag of a ciphertext is wrong: it was changed, or another key made it"
        => TAMPERED;
    0x50 "the call was cancelled in the HSM"
        => RETRIED;
    0x54 "the module does not have this function"
        => MECHANISMS;
    0x60 "the key is not there any more"
        => "check that no other program deleted it; the service looks for it again";
    0x62 "the token does not allow keys of this length"
        => MECHANISMS;
    0x63 "the key is of another type than the mechanism needs"
        => MECHANISMS;
    0x68 "the key may not be used for this"
        => "permit encryption, decryption or signing for the key in the HSM";
    0x70 "the token does not have the mechanism, or its policy forbids it"
        => MECHANISMS;
    0x71 "the token refuses the parameters of the mechanism, for example a caller's IV"
        => MECHANISMS;
    0x82 "the object is not there any more"
        => "check that no other program deleted it; the service looks for it again";
    0x90 "an earlier operation of the session is still open"
        => RETRIED;
    0x91 "the session has forgotten its operation"
        => RETRIED;
    0xA0 "the token refuses the PIN"
        => PIN_FILE;
    0xA1 "the PIN has a character that the token forbids"
        => PIN_FILE;
    0xA2 "the PIN is too short or too long for the token"
        => PIN_FILE;
    0xA3 "the PIN has expired"
        => "set a new one with the vendor's tools and store it in pkcs11.pin_file";
    0xA4 "the PIN is locked"
        => "let the security officer of the token set it again";
    0xB0 "the HSM closed the session, for example an idle one"
        => RETRIED;
    0xB1 "the token gives no further session"
        => "lower enclave.workers, or raise the HSM's limit: the service needs enclave.workers + 4 sessions";
    0xB3 "the HSM does not know the session any more"
        => RETRIED;
    0xB4 "the module refuses the kind of session"
        => DEFECT;
    0xB5 "the session cannot write"
        => "permit read-write sessions of the user in the HSM's policy";
    0xB6 "a session is open"
        => "stop other programs that use the token";
    0xB7 "a read-only session is open"
        => "stop other programs that use the token";
    0xB8 "the security officer is logged in"
        => "end that login";
    0xC0 "a signature is wrong"
        => DEFECT;
    0xC1 "a signature has a wrong length"
        => DEFECT;
    0xD0 "the token wants more attributes of a new object"
        => TEMPLATES;
    0xD1 "the token refuses the combination of attributes of a new object"
        => TEMPLATES;
    0xE0 "the slot is empty"
        => NETWORK;
    0xE1 "the token in the slot is not readable"
        => NETWORK;
    0xE2 "the token is write-protected"
        => "remove the write protection; signing works meanwhile";
    0x100 "a user is logged in already"
        => "none: the service uses that login";
    0x101 "the HSM forgot the login"
        => "none: the service logs in again";
    0x102 "the token has no user PIN yet"
        => "let the security officer of the token set one";
    0x103 "the module does not know this kind of user"
        => DEFECT;
    0x104 "another user is logged in in this process"
        => DEFECT;
    0x105 "too many kinds of users are logged in"
        => "stop other programs that use the token";
    0x120 "the generator takes no seed"
        => DEFECT;
    0x121 "the token has no random generator"
        => "use another slot";
    0x140 "the token does not have the curve"
        => MECHANISMS;
    0x150 "an answer is longer than the standard allows"
        => DEFECT;
    0x170 "the value is secret"
        => TEMPLATES;
    0x190 "something in this process has finalized the module"
        => "none: the service initialises it again";
    0x191 "the module is initialised already"
        => DEFECT;
    0x1A0 "the module's lock is broken"
        => VENDOR_LOG;
    0x1A1 "the module's lock was not held"
        => VENDOR_LOG;
    0x1B5 "the HSM gave up a computation"
        => VENDOR_LOG;
    0x1B6 "the module's self-test failed; it refuses all work"
        => "repair or replace the HSM or its module";
    0x1B7 "the module cannot load a library that it needs"
        => "install what the vendor's manual names; check sandbox.extra_paths";
    0x1B8 "the token finds the PIN too weak"
        => "set a stronger one";
    0x1B9 "the token refuses a public key"
        => DEFECT;
    0x200 "the token rejected the call, for example for lack of an approval"
        => "grant the approval (quorum, button, policy) that the HSM asks for";
    0x201 "the token has no resources left"
        => "destroy keys that are not needed, or raise the HSM's limits";
    0x202 "an operation could not be cancelled"
        => RETRIED;
};

fn of(code: RvError) -> Option<Advice> {
    if let RvError::VendorDefined(_) = code {
        return Some(VENDOR);
    }
    TABLE.iter().find(|(number, _)| Rv::from(*number) == Rv::Error(code)).map(|(_, advice)| *advice)
}

/// Name, cause and cure of each code, for the reference page.
pub fn return_codes() -> impl Iterator<Item = (String, Advice)> {
    let named = |(number, advice): &(u64, Advice)| match Rv::from(*number) {
        Rv::Error(code) => Some((ReturnCode(code).to_string(), *advice)),
        Rv::Ok => None,
    };
    TABLE.iter().filter_map(named).chain([("a vendor's code".to_owned(), VENDOR)])
}

impl TokenError {
    /// What the return code means, and what to do; none where the module gave no code that the standard names.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        self.code().and_then(of)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is a failed test
    use std::collections::BTreeSet;

    use super::*;
    use crate::pkcs11::{Cause, Function};

    /// Codes of functions that this program does not call: OTP, key wrapping and derivation, saved states, events.
    const NOT_CALLED: [std::ops::RangeInclusive<u64>; 10] = [
        0x08..=0x08,
        0x51..=0x51,
        0x64..=0x67,
        0x69..=0x6A,
        0xF0..=0xF2,
        0x110..=0x115,
        0x130..=0x130,
        0x160..=0x160,
        0x180..=0x180,
        0x1B0..=0x1B1,
    ];

    #[test]
    fn every_code_of_the_standard_that_a_call_can_return_has_cause_and_cure() {
        for number in 1..0x300 {
            let Rv::Error(code) = Rv::from(number) else { continue };
            let named = !matches!(code, RvError::UnknownErrorCode(_));
            if named && !NOT_CALLED.iter().any(|range| range.contains(&number)) {
                assert!(of(code).is_some(), "{number:#x} {code:?}");
            }
        }
        let numbers: Vec<_> = TABLE.iter().map(|(number, _)| *number).collect();
        let distinct: BTreeSet<_> = numbers.iter().copied().collect();
        assert!(distinct.into_iter().eq(numbers), "in order, each once");
        assert!(return_codes().all(|(name, _)| name.starts_with("CKR_") || name == "a vendor's code"));
    }

    #[test]
    fn an_error_knows_what_its_code_means() {
        let error = |cause| TokenError { function: Function::OpenSession, cause };
        let count = error(Cause::Refused(ReturnCode(RvError::SessionCount))).advice().unwrap();
        assert!(count.cure.contains("enclave.workers + 4"));
        let vendor = error(Cause::Refused(ReturnCode(RvError::VendorDefined(0x8000_0001))));
        assert_eq!(vendor.advice(), Some(VENDOR));
        assert_eq!(error(Cause::Stale).advice(), None);
    }
}
