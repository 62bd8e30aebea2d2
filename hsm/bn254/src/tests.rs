//! The multiplications as a whole: arkworks is the oracle. Not for the parts: the other files test
//! bounds, field, glv and stack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a test fails by panicking

mod against_arkworks;
mod bounds;
mod constants;
mod faults;
mod field;
mod glv;
mod group;
mod inputs;
mod stack;
mod vectors;
