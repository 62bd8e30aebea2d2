//! The enclave of avs-kms: the only place where a BN254 scalar can exist, and only for one multiplication.
//!
//! Lowest first:
//! - the crate `bn254_ct`: constant-time multiplication and validated public points;
//! - [`arena`]: guarded memory that no other process can read, and the stack that multiplications run on;
//! - [`telemetry`]: what is counted and timed;
//! - [`pkcs11`]: the module, its sessions and objects; calls with a secret write straight into the arena;
//! - [`records`]: the place of the wrapped records;
//! - [`wrap`]: the wrapped record, its scheme, and the key that wraps it;
//! - [`token`]: what one token holds: login, canary, checkpoint key, store key, anchor; the recovery table;
//! - [`keys`]: index and creation of keys, and the lock that keeps a second process out;
//! - [`softhsm`]: making and protecting SoftHSM's tokens;
//! - [`runtime`]: workers, administration, supervisor, watchdog; `init` and the move of all keys;
//! - [`diagnostics`]: what `doctor` reports;
//! - [`enclave`]: the handle, the only way in.
//!
//! No exported type can hold a scalar: the interface takes ids and public points and gives public points. [`StoreKey`]
//! holds the one secret that stays in memory, and gives MACs.

// The support of the integration tests says `hsm::`; unit tests share it.
#[cfg(test)]
extern crate self as hsm;

mod arena;
mod clock;
mod diagnostics;
mod enclave;
mod error;
mod harden;
mod health;
mod key;
mod keys;
mod labels;
mod pkcs11;
mod records;
mod runtime;
mod settings;
mod softhsm;
mod softhsm_layout;
mod telemetry;
mod token;
mod wrap;

pub use arena::{ArenaError, SecretMemory};
pub use bn254_ct::{FaultCheck, G1Point, G2Point, PointError};
pub use diagnostics::{DiagnosticCheck, Diagnostics};
pub use enclave::Enclave;
pub use error::{EnclaveError, OpenError, PinFileProblem};
pub use harden::{end_process, harden_process};
pub use health::{CanaryReport, Findings, Health, TakeOver, TokenState};
pub use key::{KeyEntry, KeyId, KeyIdError, NewKey, PublicKey, StoredName, StoredNameError};
pub use pkcs11::{
    Advice, Cause, Function, ReturnCode, TokenError, call_in_progress, return_codes, watch_calls,
};
pub use records::{Found, RECORD_MAX, Records, RecordsError};
pub use runtime::initialise::{InitAttempt, InitReport, Initialised};
pub use runtime::rewrap::{Copied, Rewrap, RewrapCaller, RewrapError, RewrapReport, RewrapSide};
pub use settings::{
    LeaseSettings, LocationChoice, PinUse, PreparedKeys, SchemeChoice, Settings, TokenSelector,
};
pub use softhsm::{
    MakeTokenError, SOFTHSM_MODULE, SofthsmToken, TokenMade, TokenObject, configure_softhsm,
    make_softhsm_token, restore_softhsm_token, softhsm_token_objects,
};
pub use softhsm_layout::SofthsmLayout;
pub use telemetry::describe as describe_metrics;
pub use token::checkpoint_key::CheckpointKey;
pub use token::store_key::StoreKey;
pub use wrap::RECORD_CONTEXT;
