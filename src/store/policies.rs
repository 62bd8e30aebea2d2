//! Policies of keys; a key without one allows everything.

use std::sync::Arc;

use super::cache::Store;
use super::error::StoreError;
use crate::auth::Policy;
use crate::key::{Eoa, KeyName};

impl Store {
    /// What a key allows, whether it exists or not.
    pub fn policy(&self, owner: &Eoa, name: &KeyName) -> Arc<Policy> {
        let policies = self.shared().policies();
        policies.get(&(*owner, name.clone())).map(Arc::clone).unwrap_or_default()
    }

    /// Sets what a key allows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_policy(&self, owner: Eoa, name: KeyName, policy: Policy) -> Result<(), StoreError> {
        self.write(|shared| async move {
            shared.backend.set_policy(owner, name.clone(), policy.clone()).await?;
            shared.policies_mut().insert((owner, name), Arc::new(policy));
            Ok(())
        })
        .await
    }
}
