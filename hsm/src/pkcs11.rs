//! The PKCS#11 module: loading, sessions, login, objects, encryption. Not for what the objects mean.
//!
//! One raw layer over `cryptoki-sys` serves everything, where crate `cryptoki` was an option for all but secrets:
//! its `Session` closes itself by number after a re-initialisation, when the number may be somebody else's, and the
//! recovery table needs each call with its exact return code. Two layers would also mean two function lists.
#![allow(unsafe_code)] // the foreign function interface; this folder is one of the three rooms for `unsafe`

mod error;
mod module;
mod objects;
mod secret;
mod session;
mod signing;

pub use error::{Call, Code, TokenError};
pub(crate) use module::{Generation, Library, Mechanism, TokenInfo};
pub(crate) use objects::{Attribute, ObjectHandle, Request};
pub(crate) use secret::{IV_LEN, TAG_LEN};
pub(crate) use session::{Role, Session};
