//! The disk: a trait with the real directory behind it, small files that are replaced as a whole,
//! compressed segments.

pub(crate) mod atomic_write;
pub(crate) mod compressed;
pub(crate) mod directory;
pub(crate) mod disk;
