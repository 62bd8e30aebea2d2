//! The threads of the enclave: workers, administration, supervisor and watchdog, and what they share; and what runs
//! without them, `init` and the move of all keys. Not for what is in the token.

pub(crate) mod admin;
pub(crate) mod heartbeat;
pub(crate) mod initialise;
pub(crate) mod recovery_request;
pub(crate) mod rewrap;
pub(crate) mod session_worker;
pub(crate) mod sessions;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod supervisor;
pub(crate) mod watchdog;
pub(crate) mod worker;
