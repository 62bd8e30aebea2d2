//! The rows of the table of faults: what happens, the rules that make it happen, and how it is to be come through. Shared
//! by the tests of the enclave and those of the whole service.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

/// How a fault is to be come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every answer is right while the fault is there.
    Serves,
    /// Right answers or clear refusals while it is there, right ones afterwards, without a restart.
    Recovers,
    /// One key is refused until the next check of the token; the other signs.
    Unreadable,
    /// Refused until a restart, whatever happens to the fault.
    Stops,
}

use Outcome::{Recovers, Serves, Stops, Unreadable};

pub type Row = (&'static str, &'static str, Outcome);

/// The codes of the matrix.
pub const CODES: &[(&str, &str)] = &[
    ("0x02", "HOST_MEMORY"),
    ("0x05", "GENERAL_ERROR"),
    ("0x30", "DEVICE_ERROR"),
    ("0x32", "DEVICE_REMOVED"),
    ("0x40", "ENCRYPTED_DATA_INVALID"),
    ("0x60", "KEY_HANDLE_INVALID"),
    ("0x82", "OBJECT_HANDLE_INVALID"),
    ("0x90", "OPERATION_ACTIVE"),
    ("0xB0", "SESSION_CLOSED"),
    ("0xB3", "SESSION_HANDLE_INVALID"),
    ("0xE0", "TOKEN_NOT_PRESENT"),
    ("0x101", "USER_NOT_LOGGED_IN"),
    ("0x190", "CRYPTOKI_NOT_INITIALIZED"),
    ("0x80000001", "vendor code"),
];

/// The calls of the matrix.
pub const CALLS: &[&str] = &[
    "C_DecryptInit",
    "C_Decrypt",
    "C_CreateObject",
    "C_Encrypt",
    "C_FindObjectsInit",
    "C_GetAttributeValue",
];

/// The calls that S6 makes in the place of a decryption.
pub const DERIVING_CALLS: &[&str] = &["C_SignInit", "C_Sign"];

/// Wrong answers of a token that derives the key of each record.
pub const WRONG_KEYS: &[Row] = &[
    ("one bit of one key is flipped", "C_Sign flip times=1", Serves),
    ("one bit of every key is flipped", "C_Sign flip", Recovers),
    ("keys are swapped", "C_Sign swap", Recovers),
    ("the key comes with an error once", "C_Sign plain=0x40 times=1", Serves),
    ("the key comes with an error", "C_Sign plain=0x40", Recovers),
    ("length 0", "C_Sign length=0 times=1", Serves),
    ("length 31", "C_Sign length=31 times=1", Serves),
    ("length 33", "C_Sign length=33", Recovers),
    ("length beyond the buffer", "C_Sign length=5000 times=1", Serves),
    ("key 0 once", "C_Sign fill=0 times=1", Serves),
    ("key 0", "C_Sign fill=0", Recovers),
    (
        "one record does not open twice, the canary is well",
        "C_Sign flip times=1\nC_Sign flip after=2 times=1",
        Unreadable,
    ),
];

/// Every code at one call, once and for as long as the fault lasts: one failure of any call is carried through unseen; a
/// lasting one is answered, and over when it is over.
pub fn matrix(call: &str) -> Vec<(String, String, Outcome)> {
    let rows = CODES.iter().flat_map(|(code, text)| {
        [
            (format!("{call} {text} once"), format!("{call} rv={code} times=1"), Serves),
            (format!("{call} {text} always"), format!("{call} rv={code}"), Recovers),
        ]
    });
    rows.collect()
}

pub const SESSIONS: &[Row] = &[
    ("each session decrypts once only", "C_DecryptInit poison", Recovers),
    ("no session can be opened", "C_OpenSession rv=0xB1", Recovers),
    (
        "one session cannot be opened",
        "C_DecryptInit rv=0xB3 times=1\nC_OpenSession rv=0x30 times=1",
        Recovers,
    ),
    ("the login is lost once", "C_DecryptInit logout times=1", Serves),
    ("the login is lost all the time", "C_DecryptInit logout", Recovers),
    ("find fails between Init and Final", "C_FindObjects rv=0x30 times=1", Serves),
    ("FindObjectsFinal fails", "C_FindObjectsFinal rv=0x5 times=1", Serves),
    ("closing fails", "C_CloseSession rv=0x30", Serves),
    ("everything fails", "* rv=0x32", Recovers),
    ("everything fails for a while", "* rv=0x30 times=40", Recovers),
    ("all handles are renumbered once", "C_DecryptInit renumber times=1", Serves),
    ("handles are renumbered at every decryption", "C_DecryptInit renumber", Recovers),
    ("a third session is one too many", "C_OpenSession capacity=3\nC_DecryptInit rv=0xB3 times=1", Recovers),
    // A worker without a kept session has then failed twice; with one it serves (`make test-modules`, idle sessions).
    (
        "a kept session was closed, and so was the one that keeps the login",
        "C_DecryptInit rv=0xB3 times=1\nC_DecryptInit rv=0x82 times=1",
        Recovers,
    ),
    // An HA group with one flaky member: its codes speak of the session, never of the record.
    ("the session is lost twice, the canary is well", "C_DecryptInit rv=0xB3 times=2", Recovers),
    ("the session is lost twice at C_Decrypt", "C_Decrypt rv=0xB3 times=2", Recovers),
    (
        "a session fails twice in some way",
        "C_DecryptInit rv=0x5 times=1\nC_DecryptInit rv=0x5 after=2 times=1",
        Recovers,
    ),
    (
        "the device is away twice for one call",
        "C_Decrypt rv=0x32 times=1\nC_Decrypt rv=0x32 after=2 times=1",
        Recovers,
    ),
    ("no session is left", "C_OpenSession capacity=0\nC_DecryptInit rv=0xB3 times=1", Recovers),
];

/// Wrong answers of a token.
pub const WRONG_ANSWERS: &[Row] = &[
    ("one bit of one plaintext is flipped", "C_Decrypt flip times=1", Serves),
    ("one bit of every plaintext is flipped", "C_Decrypt flip", Recovers),
    ("plaintexts are swapped", "C_Decrypt swap", Recovers),
    ("plaintext comes with an error once", "C_Decrypt plain=0x40 times=1", Serves),
    ("plaintext comes with an error", "C_Decrypt plain=0x40", Recovers),
    ("length 0", "C_Decrypt length=0 times=1", Serves),
    ("length 31", "C_Decrypt length=31 times=1", Serves),
    ("length 33", "C_Decrypt length=33", Recovers),
    ("length of the buffer", "C_Decrypt length=4096", Recovers),
    ("length beyond the buffer", "C_Decrypt length=5000 times=1", Serves),
    ("scalar 0 once", "C_Decrypt fill=0 times=1", Serves),
    ("scalar 0", "C_Decrypt fill=0", Recovers),
    ("scalar above r", "C_Decrypt fill=255 times=1", Serves),
    (
        "one record fails twice, the canary is well",
        "C_Decrypt rv=0x40 times=1\nC_Decrypt rv=0x40 after=2 times=1",
        Unreadable,
    ),
    (
        "one record gives another scalar twice",
        "C_Decrypt fill=17 times=1\nC_Decrypt fill=17 after=2 times=1",
        Unreadable,
    ),
    ("ciphertext is flipped at creation", "C_Encrypt flip times=1", Serves),
    ("ciphertext is always flipped", "C_Encrypt flip", Recovers),
    ("ciphertext has another length", "C_Encrypt length=47", Recovers),
    ("the token replaces the IV that it is given", "own_iv slow", Recovers),
    ("finds nothing and says OK", "C_FindObjects hits=0", Recovers),
    ("finds nothing once", "C_FindObjects hits=0 times=1", Serves),
    ("finds everything twice", "C_FindObjects hits=2", Recovers),
    ("values are read wrongly", "C_GetAttributeValue flip", Recovers),
];

pub const CREATIONS: &[Row] = &[
    ("the reply to a creation is lost", "C_CreateObject lost=0x30 times=1", Serves),
    ("the reply to every creation is lost", "C_CreateObject lost=0x30", Serves),
    ("the reply and the session are lost", "C_CreateObject lost=0xB3 times=1", Serves),
    ("the token is full", "C_CreateObject rv=0x31", Recovers),
    ("the token has no resources", "C_CreateObject rv=0x201", Recovers),
    ("the template is refused", "C_CreateObject rv=0xD1", Recovers),
    ("the token is write-protected", "C_CreateObject rv=0xE2", Recovers),
    ("the generator fails", "C_GenerateRandom rv=0x121", Recovers),
    ("the generator is constant", "C_GenerateRandom fill=17", Serves),
    ("the generator gives ones", "C_GenerateRandom fill=255", Serves),
    ("the generator gives zeros", "C_GenerateRandom fill=0", Serves),
    ("the token is full after one object", "C_CreateObject rv=0x31 after=1", Recovers),
    ("private objects are refused", "template:C_CreateObject refuse=0x2", Serves),
    (
        "no copy of the wrapping key is allowed",
        "C_DecryptInit rv=0x190 times=1\ntemplate:C_CopyObject refuse=0x1",
        Serves,
    ),
];

pub const PINS: &[Row] = &[
    // The handle is said to be gone, the module re-initialised, and then the PIN is refused.
    ("wrong PIN at the way back", "C_DecryptInit rv=0x190 times=1\nC_Login rv=0xA0", Stops),
    ("locked PIN at the way back", "C_DecryptInit rv=0x190 times=1\nC_Login rv=0xA4", Stops),
    ("expired PIN at the way back", "C_DecryptInit rv=0x190 times=1\nC_Login rv=0xA3", Stops),
    ("one try left at the way back", "C_DecryptInit rv=0x190 times=1\nC_GetTokenInfo fill=1", Stops),
    ("the mechanism is forbidden", "C_DecryptInit rv=0x70", Stops),
    ("the key may no longer decrypt", "C_DecryptInit rv=0x68", Stops),
];

pub const SLOW: &[Row] = &[
    ("1 ms at every call", "* slow delay_ms=1", Serves),
    ("20 ms at every decryption", "C_Decrypt slow delay_ms=20", Serves),
    ("one second at one call", "C_DecryptInit slow delay_ms=1000 times=1", Serves),
];
