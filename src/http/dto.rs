//! Bodies that several calls share, and the values in all bodies: each type reads or writes itself and is its schema.
//!
//! Not for: bodies of one call, which stand beside their handler (`routes`).

pub(crate) mod binding;
pub(crate) mod cursor;
pub(crate) mod invalid_value;
pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod page;
pub(crate) mod point;
pub(crate) mod policy;
pub(crate) mod signature;
pub(crate) mod text;
pub(crate) mod values;
