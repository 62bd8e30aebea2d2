//! E0603: the modules of the enclave that see a scalar are closed.

pub use hsm::arena::Slot;
pub use hsm::wrap::UnwrappedScalar;
