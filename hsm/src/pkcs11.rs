//! The PKCS#11 module: loading, sessions, login, objects, encryption. Not for what the objects mean.
//!
//! One raw layer over `cryptoki-sys` serves everything, where crate `cryptoki` was an option for all but secrets:
//! its `Session` closes itself by number after a re-initialisation, when the number may be somebody else's, and the
//! recovery table needs each call with its exact return code. Two layers would also mean two function lists.

mod code;
mod raw;

pub use code::{Call, Code, TokenError};
pub(crate) use raw::{Attribute, Generation, Library, ObjectHandle, Request, Session, TokenInfo};
pub(crate) use raw::{IV_LEN, Mechanism, Role, TAG_LEN};
