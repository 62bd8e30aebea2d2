//! Errors of opening and of using the enclave, one variant for each remedy. Not for status codes.

mod enclave;
mod pin_file;

use std::io;
use std::path::PathBuf;

use crate::arena::ArenaError;
use crate::pkcs11::TokenError;
use crate::records::RecordsError;

pub use enclave::EnclaveError;
pub(crate) use enclave::result_label;
pub use pin_file::PinFileProblem;

impl From<RecordsError> for OpenError {
    fn from(error: RecordsError) -> Self {
        match error {
            RecordsError::Token(error) => error.into(),
            RecordsError::Outside(source) => Self::Records(source),
        }
    }
}

/// Why the enclave could not be initialised or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The module could not be loaded.
    #[error("the PKCS#11 module {} could not be loaded", path.display())]
    ModuleMissing {
        /// Its path.
        path: PathBuf,
        /// What the loader said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No token fits the settings.
    #[error("no token with {wanted} was found; the module shows {}", listed(seen))]
    TokenNotFound {
        /// What was looked for.
        wanted: String,
        /// The initialised tokens that are there.
        seen: Vec<String>,
    },
    /// Several tokens fit the settings.
    #[error("several tokens have {wanted}: {}; name one of them by pkcs11.serial or pkcs11.uri", found.join(", "))]
    TokenAmbiguous {
        /// What was looked for.
        wanted: String,
        /// Those that fit.
        found: Vec<String>,
    },
    /// The PIN file cannot be used.
    #[error("PIN file {}: {problem}", path.display())]
    PinFile {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        problem: PinFileProblem,
    },
    /// The token refused the PIN. It was tried once, and no process of this installation tries it again.
    #[error("the token refused the PIN (tried once, not tried again)")]
    WrongPin,
    /// The token refused this PIN at an earlier try; no login was tried.
    #[error("the token has refused this PIN before, so it was not tried again (record {})", record.display())]
    PinRefusedBefore {
        /// Where refused PINs are remembered.
        record: PathBuf,
    },
    /// One wrong PIN more locks the token's user PIN; no login was tried.
    #[error("one wrong PIN more locks the token, so the PIN was not tried")]
    PinFinalTry,
    /// The token has locked the PIN.
    #[error("the token's user PIN is locked; its security officer must set it again")]
    PinLocked,
    /// Another process uses the token.
    #[error("the token is in use by {} (lock {})", holder.map_or_else(|| "another process".into(), |pid| format!("process {pid}")), lock.display())]
    AlreadyRunning {
        /// The lock file.
        lock: PathBuf,
        /// Process id written in it.
        holder: Option<u32>,
    },
    /// A living process has the token's lease.
    #[error("the token is in use by {holder}, which answered")]
    TokenInUse {
        /// What its lease says.
        holder: String,
    },
    /// The token's lease is of another installation.
    #[error("the token is in use by another installation: {holder}")]
    TokenOfOtherInstallation {
        /// What its lease says.
        holder: String,
    },
    /// The lock file could not be opened or written.
    #[error("the lock file {} cannot be used", lock.display())]
    LockFile {
        /// Its path.
        lock: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The token has no key-encryption key. It held one when `init` ended, so nothing may be made again.
    #[error(
        "the token holds no key-encryption key {label:?}: another token answers, or this one lost its objects; check the \
         slot and the HSM, else restore the token from its backup"
    )]
    KekMissing {
        /// Label that was looked for.
        label: String,
    },
    /// The token has no secret key of the label that the settings name.
    #[error(
        "the token holds no secret key {label:?}, which pkcs11.kek_label names; the HSM's administrator makes it"
    )]
    PreparedKekMissing {
        /// Label that was looked for.
        label: String,
    },
    /// More than one object carries the label of the key-encryption key.
    #[error("{count} objects are called {label:?}; exactly one may be")]
    KekDuplicate {
        /// The label.
        label: String,
        /// How many.
        count: usize,
    },
    /// The key-encryption key is not what it must be.
    #[error("the key-encryption key is unfit: {problem}")]
    KekAttributes {
        /// Which attribute, and what it should be.
        problem: String,
    },
    /// `init` on a token that has a key-encryption key or a canary already.
    #[error("the token is initialised already: it holds {found:?}")]
    AlreadyInitialised {
        /// Label that was found.
        found: String,
    },
    /// `init` failed, and what it made in the token could not be destroyed.
    #[error(
        "init failed, and objects that it made are still in the token ({kept}): repair it and run init again"
    )]
    Unfinished {
        /// Why it failed.
        #[source]
        failed: Box<OpenError>,
        /// Why they are still there.
        kept: String,
    },
    /// The token reports objects as destroyed and still shows them.
    #[error("the token still shows {count} objects that it has destroyed")]
    LeftBehind {
        /// How many.
        count: usize,
    },
    /// The key that signs the audit log's checkpoints is missing or unfit.
    #[error("the audit log's signing key {label:?}: {problem}")]
    CheckpointKey {
        /// Its label.
        label: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The key that authenticates the rows of the store is missing or not the one that `init` made.
    #[error("the store key {label:?}: {problem}")]
    StoreKey {
        /// Its label.
        label: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no canary record, or more than one.
    #[error("{count} canary records were found, where one is expected")]
    CanaryMissing {
        /// How many.
        count: usize,
    },
    /// The canary record did not decrypt to its known content.
    #[error("the canary record failed its check")]
    CanaryFailed {
        /// The call that failed, where one did.
        #[source]
        source: Option<TokenError>,
    },
    /// The records in the token are of avs-kms 0.1.
    #[error("avs-kms 0.1 initialised this token, and its records cannot be read; init a new token")]
    RecordFormat,
    /// The live probe found that the token cannot be trusted with records.
    #[error("the token is unfit: {problem}")]
    TokenUnfit {
        /// What it does or does not do.
        problem: String,
    },
    /// The token grants too few sessions for one worker.
    #[error(
        "the token grants {granted} sessions, and {needed} are needed: one for each of enclave.workers, and 4 more; stop \
         other programs that use the token, or raise the HSM's limit"
    )]
    TooFewSessions {
        /// How many could be open at once.
        granted: usize,
        /// What the settings ask for.
        needed: usize,
    },
    /// The token was initialised with a wrapping scheme that the settings do not allow.
    #[error("the token was initialised with wrapping scheme {found}, which pkcs11.scheme does not allow")]
    SchemeRefused {
        /// Scheme and variant of its records.
        found: String,
    },
    /// Both the token and the store have a canary record.
    #[error(
        "both the token and the store hold a canary record; use the store and the token that belong together"
    )]
    TwoPlaces,
    /// The records are elsewhere than the settings demand.
    #[error("the records of this installation are in the {0}, which keys.location does not allow")]
    LocationRefused(&'static str),
    /// The token takes no data objects, and the settings demand them, or there is no other place.
    #[error("the token takes no data objects, so no wrapped record can be in it; set keys.location to store")]
    NoDataObjects {
        /// The call that was refused.
        #[source]
        source: TokenError,
    },
    /// The place of the records outside the token failed.
    #[error("the wrapped records cannot be read or written")]
    Records(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Memory for secrets could not be had.
    #[error("no memory for secrets")]
    Memory(#[from] ArenaError),
    /// The token refused a call.
    #[error("the token refused a call")]
    Token(#[from] TokenError),
    /// The host failed, not the token.
    #[error("{what}")]
    Host {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A setting makes no sense.
    #[error("setting {0}")]
    Settings(&'static str),
}

impl From<getrandom::Error> for OpenError {
    fn from(error: getrandom::Error) -> Self {
        Self::Host { what: "the kernel's generator failed", source: io::Error::other(error) }
    }
}

/// An error with all its causes, and the cure of a return code.
pub(crate) fn explained(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = Some(error);
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        if let Some(advice) = error.downcast_ref::<TokenError>().and_then(TokenError::advice) {
            text.push_str(&format!(" ({}); {}", advice.cause, advice.cure));
        }
        next = error.source();
    }
    text
}

/// The tokens that a module shows, or what it means that there is none.
fn listed(seen: &[String]) -> String {
    match seen {
        [] => "no initialised token: the slot is empty, or its daemon or HSM is away; start again once it is there".into(),
        seen => seen.join(", "),
    }
}
