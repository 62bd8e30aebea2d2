//! The objects and the login of one token: connection, place of the records, canary record, checkpoint key, store key,
//! anchor, lease, and the table that says what a failed call means. Not for threads: those are in `runtime`.

pub(crate) mod anchor;
pub(crate) mod attempt;
pub(crate) mod canary;
pub(crate) mod checkpoint_key;
pub(crate) mod connection;
pub(crate) mod init_records;
pub(crate) mod lease;
pub(crate) mod login;
pub(crate) mod pin;
pub(crate) mod place;
pub(crate) mod recovery;
pub(crate) mod refused_pin;
pub(crate) mod selection;
pub(crate) mod store_key;
