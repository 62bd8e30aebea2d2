//! Authenticity of the store: a MAC on each row that decides something, and a signed root over all of them.
//!
//! An intruder who can write the database file must not decide anything with it. The key of the MACs rests wrapped
//! by the token ([`hsm::StoreKey`]). A back end stores the MAC of each row beside it and writes the head with every
//! change, in the same transaction:
//!
//! - a row that was inserted, edited or moved to another place has no valid MAC ([`row`]);
//! - a row that was deleted, or put back as it was earlier, changes the root ([`root`]);
//! - the head binds root, counter and the hash chain of all earlier changes to this installation.
//!
//! An opened store answers from what it verified at the start: later edits of the file change nothing, and the next
//! start refuses them. Not for: last use, events and deliveries, which decide nothing.

mod root;
mod row;
mod rows;
mod stamps;

pub(super) use row::{Place, Row};
pub use rows::Head;
pub(super) use rows::Rows;
