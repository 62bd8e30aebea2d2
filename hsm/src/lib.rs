//! The enclave of avs-kms: everything that ever sees a secret, and nothing else.

pub mod curve;
