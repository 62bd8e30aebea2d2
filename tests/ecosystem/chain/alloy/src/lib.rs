//! The parts of `alloy` that EigenLayer's bindings and the tests name.

pub use alloy_contract as contract;
pub use alloy_network as network;
pub use alloy_primitives as primitives;
pub use alloy_provider as providers;
pub use alloy_rpc_types_eth as rpc;
pub use alloy_sol_types as sol_types;
