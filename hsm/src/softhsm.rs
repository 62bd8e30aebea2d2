//! SoftHSM's tokens: making one by label, and the files around it. Not for other modules, and not for the
//! key-encryption key, which [`crate::Enclave::initialise`] makes in any token.

pub(crate) mod files;
mod make;
mod plan;

pub use files::TokenObject;
pub use make::{
    TokenMade, configure_softhsm, make_softhsm_token, restore_softhsm_token, softhsm_token_objects,
};
pub use plan::{MakeTokenError, SOFTHSM_MODULE, SofthsmToken};
