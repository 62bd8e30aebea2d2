//! The modules of the enclave that see a scalar are closed.

use hsm::arena::Slot;
use hsm::curve::bn254::multiply;
use hsm::wrap::Unlocked;

fn main() {}
