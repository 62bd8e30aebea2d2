//! Commands on tokens themselves: the move to another one, and the repair of SoftHSM's.

pub(super) mod rewrap;
pub(super) mod softhsm;
