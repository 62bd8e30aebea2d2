//! The PKCS#11 module: loading, sessions, login, objects, encryption. Not for what the objects mean.

mod code;

pub use code::{Call, Code, TokenError};
