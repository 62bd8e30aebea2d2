//! What the registries say of bound versions, asked at each look.
//!
//! Not for: what follows from it (`plan`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::plan::RegistryStatus;
use crate::chain::{RpcClient, RpcClientError};
use crate::eigenlayer;
use crate::key::KeyVersion;
use crate::key::{Binding, LifecycleState, Registry};
use crate::service::Service;

/// Follows registrations on one chain.
#[derive(Debug)]
pub struct RegistryWatcher {
    chain: RpcClient,
    /// The node's chain, once it was asked. It is asked again after each failure: nodes are moved.
    id: Mutex<Option<u64>>,
    /// Whether the node did not answer in this look: nobody waits for it twice.
    away: AtomicBool,
}

impl RegistryWatcher {
    /// A follower that asks this node.
    pub const fn new(chain: RpcClient) -> Self {
        Self { chain, id: Mutex::new(None), away: AtomicBool::new(false) }
    }

    /// A new look begins.
    pub(super) fn begin(&self) {
        self.away.store(false, Ordering::Relaxed);
    }

    /// What the registry says of a version; a change of it is kept in the store.
    pub(super) async fn word(
        &self,
        service: &Service,
        version: &KeyVersion,
        now: Timestamp,
    ) -> RegistryStatus {
        let lives = matches!(
            version.status.lifecycle,
            LifecycleState::Pending | LifecycleState::Active | LifecycleState::Retiring
        );
        let Some(binding) = version.binding.as_ref().filter(|_| lives) else {
            return RegistryStatus::NotTracked;
        };
        if self.away.load(Ordering::Relaxed) {
            return RegistryStatus::Unreachable;
        }
        match self.holds(binding, version).await {
            Ok(None) => RegistryStatus::NotTracked,
            Ok(Some(held)) => {
                let known = version.registration.is_some_and(|registration| registration.held == held);
                if !known && let Err(error) = service.store().observe(version, held, now) {
                    tracing::error!(%error, "what the registry says could not be kept");
                    return RegistryStatus::Unreachable;
                }
                if held { RegistryStatus::Registered } else { RegistryStatus::NotRegistered }
            }
            Err(error) => {
                self.away.store(!matches!(error, RpcClientError::Refused { .. }), Ordering::Relaxed);
                *self.id.lock().unwrap_or_else(PoisonError::into_inner) = None;
                tracing::warn!(error = &error as &dyn std::error::Error, %binding, "the registry was not asked");
                RegistryStatus::Unreachable
            }
        }
    }

    /// Whether the registry holds this very key for the binding; none where the binding is on another chain.
    async fn holds(&self, binding: &Binding, version: &KeyVersion) -> Result<Option<bool>, RpcClientError> {
        if self.id().await? != binding.chain_id {
            return Ok(None);
        }
        let contract = binding.verifying_contract.as_bytes().into();
        let operator = binding.operator.as_bytes();
        let hash = match &binding.registry {
            Registry::KeyRegistrar { avs, operator_set_id } => {
                let call = eigenlayer::key_hash_call(avs.as_bytes(), *operator_set_id, operator);
                self.chain.call(contract, &call).await?
            }
            Registry::BlsApkRegistry => {
                let registry = self.chain.call(contract, &eigenlayer::apk_registry_call()).await?;
                match eigenlayer::address_in(&registry) {
                    Some(registry) => {
                        let call = eigenlayer::pubkey_hash_call(operator);
                        self.chain.call(registry.into(), &call).await?
                    }
                    None => Vec::new(),
                }
            }
        };
        // Nothing, or something else than a word, is no answer of a registry.
        let hash: [u8; 32] = hash.try_into().map_err(|_| RpcClientError::Refused {
            code: 0,
            message: format!("{} has no such function", binding.verifying_contract),
        })?;
        Ok(Some(hash == eigenlayer::operator_id(&version.public_key.g1)))
    }

    async fn id(&self) -> Result<u64, RpcClientError> {
        let known = *self.id.lock().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some(id) => Ok(id),
            None => {
                let id = self.chain.id().await?;
                *self.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
                Ok(id)
            }
        }
    }
}
