//! The keys in the token: the index of their records, their creation, the retest of unreadable ones, and the lock that keeps a second process out.
//! Not for multiplying: that is `runtime::worker`.

pub(crate) mod create;
pub(crate) mod entry;
pub(crate) mod index;
pub(crate) mod lock;
pub(crate) mod retest;
