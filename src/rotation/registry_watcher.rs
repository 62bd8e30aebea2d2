//! Status of bound versions in their registry contracts, asked at each tick.
//!
//! Not for: what follows from it (`plan`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::plan::RegistryStatus;
use crate::chain::{RpcClient, RpcClientError};
use crate::eigenlayer;
use crate::key::{Binding, KeyVersion, LifecycleState, Registry};
use crate::store::Store;

/// Asks the registries of one chain.
#[derive(Debug)]
pub struct RegistryWatcher {
    node: RpcClient,
    /// The node's chain id. Asked again after each failure: an operator may have moved the node.
    chain_id: Mutex<Option<u64>>,
    /// Whether the node did not answer in this tick: it is not asked again before the next one.
    unreachable: AtomicBool,
}

impl RegistryWatcher {
    /// A watcher that asks this node.
    pub const fn new(node: RpcClient) -> Self {
        Self { node, chain_id: Mutex::new(None), unreachable: AtomicBool::new(false) }
    }

    /// A new tick begins.
    pub(super) fn begin(&self) {
        self.unreachable.store(false, Ordering::Relaxed);
    }

    /// The status of a version in its registry; the store keeps a change of it.
    pub(super) async fn status(&self, store: &Store, version: &KeyVersion, now: Timestamp) -> RegistryStatus {
        let lives = matches!(
            version.status.lifecycle,
            LifecycleState::Pending | LifecycleState::Active | LifecycleState::Retiring
        );
        let Some(binding) = version.binding.as_ref().filter(|_| lives) else {
            return RegistryStatus::NotTracked;
        };
        if self.unreachable.load(Ordering::Relaxed) {
            return RegistryStatus::Unreachable;
        }
        match self.is_registered(binding, version).await {
            Ok(None) => RegistryStatus::NotTracked,
            Ok(Some(held)) => {
                let known = version.registration.is_some_and(|registration| registration.held == held);
                if !known && let Err(error) = store.set_registration(version, held, now).await {
                    tracing::error!(%error, "the status in the registry was not stored");
                    return RegistryStatus::Unreachable;
                }
                if held { RegistryStatus::Registered } else { RegistryStatus::NotRegistered }
            }
            Err(error) => {
                let refused = matches!(error, RpcClientError::Refused { .. });
                self.unreachable.store(!refused, Ordering::Relaxed);
                *self.chain_id.lock().unwrap_or_else(PoisonError::into_inner) = None;
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, %binding, "the registry did not answer");
                RegistryStatus::Unreachable
            }
        }
    }

    /// Whether the registry holds this very key for the binding; `None` where the binding is on another chain.
    async fn is_registered(
        &self,
        binding: &Binding,
        version: &KeyVersion,
    ) -> Result<Option<bool>, RpcClientError> {
        if self.chain_id().await? != binding.chain_id {
            return Ok(None);
        }
        let contract = binding.verifying_contract.as_bytes().into();
        let operator = binding.operator.as_bytes();
        let hash = match &binding.registry {
            Registry::KeyRegistrar { avs, operator_set_id } => {
                let call = eigenlayer::key_hash_call(avs.as_bytes(), *operator_set_id, operator);
                self.node.call(contract, &call).await?
            }
            Registry::BlsApkRegistry => {
                let registry = self.node.call(contract, &eigenlayer::apk_registry_call()).await?;
                match eigenlayer::address_in(&registry) {
                    Some(registry) => {
                        let call = eigenlayer::pubkey_hash_call(operator);
                        self.node.call(registry.into(), &call).await?
                    }
                    None => Vec::new(),
                }
            }
        };
        // A registry answers one word.
        let hash: [u8; 32] = hash.try_into().map_err(|_| RpcClientError::Refused {
            code: 0,
            message: format!("{} has no such function", binding.verifying_contract),
        })?;
        Ok(Some(hash == eigenlayer::operator_id(&version.public_key.g1)))
    }

    async fn chain_id(&self) -> Result<u64, RpcClientError> {
        let known = *self.chain_id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = known {
            return Ok(id);
        }
        let id = self.node.id().await?;
        *self.chain_id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        Ok(id)
    }
}
