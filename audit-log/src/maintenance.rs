//! Work on the files of a log beside the running service: compression, and the list of what a
//! backup copies.

pub(crate) mod compress;
pub(crate) mod snapshot;
