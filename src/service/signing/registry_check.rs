//! The registry's own word on a registration, where a node is configured: what it will check must be what is signed.
//!
//! Not for: messages that no contract knows before they are signed (digests, points, certificates).

use std::time::{Duration, Instant};

use crate::chain::{RpcClient, RpcClientError};
use crate::eigenlayer;
use crate::service::{ErrorCode, Message, Service, ServiceError};
use hsm::{G1Point, PublicKey};

impl Service {
    /// Refuses a registration that the contract would not check as it was built here. Without a node, and for every
    /// other message, there is nothing to ask.
    pub(in crate::service) async fn registry_agrees(
        &self,
        message: &Message,
        key: &PublicKey,
        point: &G1Point,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let Some(chain) = &self.chain else { return Ok(()) };
        tokio::time::timeout_at(deadline.into(), agrees(chain, message, key, point))
            .await
            .unwrap_or_else(|_| Err(ServiceError::too_late()))
    }
}

async fn agrees(
    chain: &RpcClient,
    message: &Message,
    key: &PublicKey,
    point: &G1Point,
) -> Result<(), ServiceError> {
    let (chain_id, contract, call) = match message {
        Message::Certificate { .. } | Message::Digest(_) | Message::Point(_) | Message::BoundRegistration => {
            return Ok(());
        }
        Message::RegisterWithApkRegistry { chain_id, verifying_contract, operator } => {
            let call = eigenlayer::pubkey_registration_message_hash(operator.as_bytes());
            (*chain_id, verifying_contract, call)
        }
        Message::RegisterWithKeyRegistrar {
            chain_id,
            verifying_contract,
            operator,
            avs,
            operator_set_id,
        } => {
            let key_data = eigenlayer::key_data(&key.g1, &key.g2);
            let (operator, avs) = (operator.as_bytes(), avs.as_bytes());
            let call = eigenlayer::key_registration_message_hash(operator, avs, *operator_set_id, &key_data);
            (*chain_id, verifying_contract, call)
        }
    };
    let id = chain.id().await.map_err(away)?;
    if id != chain_id {
        let sentence =
            format!("the service's node is on chain {id}; nothing was signed for chain {chain_id}");
        return Err(ServiceError::new(ErrorCode::RegistryMismatch, sentence).field("chain_id"));
    }
    let said = chain.call(contract.as_bytes().into(), &call).await.map_err(|error| match error {
        RpcClientError::Refused { .. } if error.is_revert() => silent().source(error),
        RpcClientError::Malformed(..) | RpcClientError::Outbound(_) | RpcClientError::Refused { .. } => {
            away(error)
        }
    })?;
    // A coordinator answers the point itself, the KeyRegistrar the digest that hashes to it.
    let theirs = match (message, said.as_slice().try_into()) {
        (Message::RegisterWithKeyRegistrar { .. }, Ok(digest)) => {
            eigenlayer::hash_to_g1(&digest).to_bytes().to_vec()
        }
        (Message::RegisterWithApkRegistry { .. }, Err(_)) if said.len() == 64 => said,
        _ => return Err(silent()),
    };
    if theirs == point.to_bytes() {
        return Ok(());
    }
    let sentence =
        "the registry's own registration digest differs from the one built here, so nothing was signed";
    Err(ServiceError::new(ErrorCode::RegistryMismatch, sentence).field("verifying_contract"))
}

/// There is no such registry at the address.
fn silent() -> ServiceError {
    let sentence =
        "the contract does not say what it would check, so it is no such registry, and nothing was signed";
    ServiceError::new(ErrorCode::RegistryMismatch, sentence).field("verifying_contract")
}

/// The node does not answer as a node does.
fn away(error: RpcClientError) -> ServiceError {
    let sentence = "the chain's node cannot be asked right now, so no registration is signed";
    ServiceError::new(ErrorCode::RpcUnavailable, sentence).retry_after(Duration::from_secs(1)).source(error)
}
