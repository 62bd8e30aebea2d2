//! The registry's own word on a registration, where a node is configured: what it will check must be what is signed.
//!
//! Not for: messages that no contract knows before they are signed (digests, points, certificates).

use std::time::{Duration, Instant};

use crate::chain::{Chain, ChainError};
use crate::eigenlayer;
use crate::service::{Code, Failure, Message, Service};
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
    ) -> Result<(), Failure> {
        let Some(chain) = &self.chain else { return Ok(()) };
        tokio::time::timeout_at(deadline.into(), agrees(chain, message, key, point))
            .await
            .unwrap_or_else(|_| Err(Failure::too_late()))
    }
}

async fn agrees(chain: &Chain, message: &Message, key: &PublicKey, point: &G1Point) -> Result<(), Failure> {
    let (chain_id, contract, call) = match message {
        Message::Certificate { .. } | Message::Digest(_) | Message::Point(_) | Message::RegisterAsBound => {
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
        return Err(Failure::new(Code::ChainMismatch, sentence).at("chain_id"));
    }
    let said = chain.call(contract.as_bytes().into(), &call).await.map_err(|error| match error {
        ChainError::Refused { .. } if error.is_revert() => silent().because(error),
        ChainError::Malformed(..) | ChainError::Outbound(_) | ChainError::Refused { .. } => away(error),
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
    Err(Failure::new(Code::ChainMismatch, sentence).at("verifying_contract"))
}

/// There is no such registry at the address.
fn silent() -> Failure {
    let sentence =
        "the contract does not say what it would check, so it is no such registry, and nothing was signed";
    Failure::new(Code::ChainMismatch, sentence).at("verifying_contract")
}

/// The node does not answer as a node does.
fn away(error: ChainError) -> Failure {
    let sentence = "the chain's node cannot be asked right now, so no registration is signed";
    Failure::new(Code::ChainUnavailable, sentence).retry_after(Duration::from_secs(1)).because(error)
}
