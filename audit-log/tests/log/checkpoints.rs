//! Checkpoints from outside: proofs, rewritten logs, changes of the key, the places that take them.

mod key_change;
mod proofs;
mod rewritten;
mod sinks;
