//! Bodies of responses, and the schemas of all bodies. Not for: reading requests (`extract`).

pub(crate) mod key;
pub(crate) mod schema;
pub(crate) mod signature;
