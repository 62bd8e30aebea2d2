//! `avs-kms`: a key management service for operators of EigenLayer AVSs.
//!
//! The map, lowest first; a module uses only modules above it in this list (`tests/architecture/layers.rs` checks it).
//!
//! - `hsm` (a crate of its own): the enclave; the only place where a scalar can exist.
//! - `audit-log` (a crate of its own): what was done, durable before it is done, and provable afterwards.
//! - [`config`]: the settings; a leaf.
//! - [`clock`]: what time it is; a leaf.
//! - [`sandbox`]: what the serving process gives up; a leaf.
//! - [`request_id`]: the identity of one request; a leaf.
//! - [`request_text`]: what a request says, cut and escaped for logs; a leaf.
//! - [`outbound`]: calls that leave this machine, bounded.
//! - [`chain`]: what a chain says, over JSON-RPC.
//! - [`eigenlayer`]: public-data mathematics of the chain.
//! - [`key`]: what a key is called and which state lets it sign.
//! - [`metrics`]: what is counted and timed.
//! - [`auth`]: who calls and what they may do.
//! - [`store`]: which keys exist in which state, and the hashes of tokens.
//! - [`backup`]: one archive of all that must survive, and its way back.
//! - [`service`]: the straight line from a parsed request to an answer.
//! - [`rotation`]: schedules, dates, registrations on the chain, webhooks.
//! - [`http`]: HTTP, the contract with clients.
//! - [`cli`]: the commands of the program.

pub mod auth;
pub mod backup;
pub mod chain;
pub mod cli;
pub mod clock;
pub mod config;
pub mod eigenlayer;
pub mod http;
pub mod key;
pub mod metrics;
pub mod outbound;
pub mod request_id;
pub mod request_text;
pub mod rotation;
pub mod sandbox;
pub mod service;
pub mod store;
