//! Comparison of a registration with the registry contract, where a node is configured.
//!
//! The service signs only the digest that the contract will check. Not for: messages that no contract knows before
//! they are signed (digests, points, certificates).

use std::time::{Duration, Instant};

use hsm::{G1Point, PublicKey};

use super::message::ResolvedMessage;
use crate::chain::{RpcClient, RpcClientError};
use crate::eigenlayer;
use crate::key::{Binding, Registry};
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;

/// The registry contracts, through a node if one is configured.
#[derive(Debug)]
pub(in crate::service) struct RegistryCheck(Option<RpcClient>);

impl RegistryCheck {
    pub(in crate::service) const fn new(node: Option<RpcClient>) -> Self {
        Self(node)
    }

    /// Refuses a registration that the contract would not check as it was built here.
    pub(in crate::service) async fn check(
        &self,
        message: &ResolvedMessage,
        key: &PublicKey,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let (Some(node), ResolvedMessage::Registration { binding, .. }) = (&self.0, message) else {
            return Ok(());
        };
        let point = message.point();
        let compared = compare(node, binding, key, &point);
        tokio::time::timeout_at(deadline.into(), compared)
            .await
            .unwrap_or_else(|_| Err(ServiceError::too_late()))
    }
}

async fn compare(
    node: &RpcClient,
    binding: &Binding,
    key: &PublicKey,
    point: &G1Point,
) -> Result<(), ServiceError> {
    let id = node.id().await.map_err(unavailable)?;
    if id != binding.chain_id {
        let message =
            format!("the service's node is on chain {id}; nothing was signed for chain {}", binding.chain_id);
        return Err(ServiceError::new(ErrorCode::RegistryMismatch, message).field("chain_id"));
    }
    let operator = binding.operator.as_bytes();
    let call = match &binding.registry {
        Registry::BlsApkRegistry => eigenlayer::pubkey_registration_message_hash(operator),
        Registry::KeyRegistrar { avs, operator_set_id } => {
            let key_data = eigenlayer::key_data(&key.g1, &key.g2);
            eigenlayer::key_registration_message_hash(operator, avs.as_bytes(), *operator_set_id, &key_data)
        }
    };
    let contract = binding.verifying_contract.as_bytes().into();
    let reply = node.call(contract, &call).await.map_err(|error| match error {
        RpcClientError::Refused { .. } if error.is_revert() => no_registry().source(error),
        RpcClientError::Malformed(..) | RpcClientError::Outbound(_) | RpcClientError::Refused { .. } => {
            unavailable(error)
        }
    })?;
    // A coordinator answers the point itself, the KeyRegistrar the digest that hashes to it.
    let theirs = match (&binding.registry, reply.as_slice().try_into()) {
        (Registry::KeyRegistrar { .. }, Ok(digest)) => eigenlayer::hash_to_g1(&digest).to_bytes().to_vec(),
        (Registry::BlsApkRegistry, Err(_)) if reply.len() == 64 => reply,
        _ => return Err(no_registry()),
    };
    if theirs == point.to_bytes() {
        return Ok(());
    }
    let message =
        "the registry's own registration digest differs from the one built here; nothing was signed";
    Err(ServiceError::new(ErrorCode::RegistryMismatch, message).field("verifying_contract"))
}

fn no_registry() -> ServiceError {
    let message = "the contract at this address is not a BLS registry (unexpected reply to the digest query); \
                   nothing was signed";
    ServiceError::new(ErrorCode::RegistryMismatch, message).field("verifying_contract")
}

fn unavailable(error: RpcClientError) -> ServiceError {
    let message = "the node of chain.rpc_url does not answer; no registration was signed";
    ServiceError::new(ErrorCode::RpcUnavailable, message).retry_after(Duration::from_secs(1)).source(error)
}
