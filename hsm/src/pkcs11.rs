//! PKCS#11: the module, its sessions and objects. Not for what the objects mean.
//!
//! Everything that carries no secret goes through the crate `cryptoki`. What carries one (PINs, clear scalars, random
//! bytes) goes through [`secret`], straight between the module and guarded memory: `cryptoki` would copy it to the heap.

mod cipher;
mod error;
mod module;
mod objects;
mod secret;
mod session;
mod signing;
mod timing;

pub use error::{Cause, Function, ReturnCode, TokenError};
pub(crate) use error::{OPERATION_CANCEL_FAILED, TOKEN_RESOURCE_EXCEEDED};
pub(crate) use module::{Generation, Module, TokenInfo};
pub(crate) use secret::{GcmMechanism, IV_LEN, KeyWrap, Role, TAG_LEN};
pub(crate) use session::Session;
