//! The enclave of avs-kms: the only place where a BN254 scalar can exist, and only for one multiplication.
//!
//! Lowest first:
//! - [`curve`]: constant-time multiplication and validated public points;
//! - [`arena`]: guarded memory that nobody else can read, and the stack that multiplications run on;
//! - [`telemetry`]: what is counted and timed;
//! - [`pkcs11`]: the module, its sessions and objects; raw calls write secrets straight into the arena;
//! - [`notary`]: the key that signs the audit log's checkpoints;
//! - [`wrap`]: what a wrapped scalar looks like in the token, and the key that wraps it;
//! - [`enclave`]: queue, workers, administration, recovery; the only door.
//!
//! No exported type can hold a scalar: the interface takes ids and public points and gives public points.

// The support of the integration tests says `hsm::`; unit tests share it.
#[cfg(test)]
extern crate self as hsm;

mod arena;
mod curve;
mod enclave;
mod notary;
mod pkcs11;
mod telemetry;
mod wrap;

pub use arena::ArenaError;
pub use curve::{G1Point, G2Point, PointError};
pub use enclave::{
    CanaryReport, Check, Enclave, EnclaveError, Examination, FaultCheck, Findings, Health, Initialised,
    KeyEntry, KeyId, KeyIdError, MakeTokenError, NewKey, OpenError, PinFileProblem, PublicKey,
    SOFTHSM_MODULE, SecretMemory, Settings, SofthsmToken, TokenMade, TokenObject, TokenSelector, TokenState,
    configure_softhsm, harden_process, make_softhsm_token, restore_softhsm_token, softhsm_token_objects,
};
pub use notary::CheckpointKey;
pub use pkcs11::{Call, Code, TokenError};
pub use telemetry::describe as describe_metrics;

#[cfg(feature = "danger-curve-internals")]
#[doc(hidden)]
pub use curve::internals as curve_internals;
