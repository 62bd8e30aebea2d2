//! What is asked.

use serde::Serialize;

/// One key of an operator: the address that owns it, its name, and which version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyAt {
    pub(crate) eoa: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<Version>,
}

/// A version of a key; the current one where none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// The active one.
    Current,
    /// The newest that is not active yet.
    Next,
    /// By number, also one that is on its way out.
    #[serde(untagged)]
    Number(u32),
}

impl KeyAt {
    /// The key `default` of an address, its current version.
    pub fn of(eoa: impl Into<String>) -> Self {
        Self { eoa: eoa.into(), name: "default".into(), version: None }
    }

    /// Another key of the same address; one per operator set, because the chain spends a key for ever.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Another version of the same key.
    #[must_use]
    pub fn version(self, version: Version) -> Self {
        Self { version: Some(version), ..self }
    }
}

/// A registration whose digest the service builds itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Registration {
    chain_id: u64,
    verifying_contract: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    #[serde(flatten)]
    registry: Registry,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "registry", rename_all = "snake_case")]
enum Registry {
    BlsApkRegistry,
    KeyRegistrar { avs: String, operator_set_id: u32 },
}

impl Registration {
    /// With an AVS that has a `BLSApkRegistry`; the contract is its registry *coordinator*, which owns the EIP-712 domain.
    pub fn bls_apk_registry(chain_id: u64, coordinator: impl Into<String>) -> Self {
        let registry = Registry::BlsApkRegistry;
        Self { chain_id, verifying_contract: coordinator.into(), operator: None, registry }
    }

    /// For one operator set with EigenLayer's core `KeyRegistrar`.
    pub fn key_registrar(
        chain_id: u64,
        key_registrar: impl Into<String>,
        avs: impl Into<String>,
        operator_set_id: u32,
    ) -> Self {
        let registry = Registry::KeyRegistrar { avs: avs.into(), operator_set_id };
        Self { chain_id, verifying_contract: key_registrar.into(), operator: None, registry }
    }

    /// For an operator other than the key's owner.
    #[must_use]
    pub fn operator(self, operator: impl Into<String>) -> Self {
        Self { operator: Some(operator.into()), ..self }
    }
}
