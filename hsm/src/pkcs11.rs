//! PKCS#11: the module, its sessions and objects. Not for what the objects mean.
//!
//! The module is called through its function list in three files: [`library`], [`functions`], and for what carries a
//! secret (PINs, clear scalars, random bytes) [`secret`], straight between the module and guarded memory.

mod advice;
mod cipher;
mod error;
mod functions;
mod kinds;
mod library;
mod module;
mod objects;
mod secret;
mod session;
mod signing;
mod timing;

pub use advice::{Advice, return_codes};
pub(crate) use cipher::OaepHash;
pub(crate) use error::{AEAD_DECRYPT_FAILED, OPERATION_CANCEL_FAILED, TOKEN_RESOURCE_EXCEEDED};
pub use error::{Cause, Function, ReturnCode, TokenError};
pub(crate) use kinds::{KeyWrap, Role};
pub(crate) use module::{Generation, Module, TokenInfo};
pub(crate) use objects::{RSA_EXPONENT, RSA_LEN, RsaModulus};
pub(crate) use secret::{GcmMechanism, IV_LEN, TAG_LEN};
pub(crate) use session::Session;
pub(crate) use timing::expecting_refusal;
pub use timing::{call_in_progress, watch_calls};
