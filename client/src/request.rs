//! Request bodies.

use serde::Serialize;

/// Reference to one key: owner address, name, and version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRef {
    pub(crate) eoa: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<Version>,
}

/// Selects a version of a key. The default is the current version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// The active version.
    Current,
    /// The newest pending version.
    Next,
    /// The version with this number, including a retiring one.
    #[serde(untagged)]
    Number(u32),
}

impl KeyRef {
    /// The current version of the key `default` of an address.
    pub fn new(eoa: impl Into<String>) -> Self {
        Self { eoa: eoa.into(), name: "default".into(), version: None }
    }

    /// Another key of the same address. Use one key per operator set: a registry accepts each key
    /// only once.
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

/// A registration whose digest the service computes.
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
    /// Registration with an AVS that has a `BLSApkRegistry`. The verifying contract is the registry
    /// *coordinator*, which owns the EIP-712 domain.
    pub fn bls_apk_registry(chain_id: u64, coordinator: impl Into<String>) -> Self {
        let registry = Registry::BlsApkRegistry;
        Self { chain_id, verifying_contract: coordinator.into(), operator: None, registry }
    }

    /// Registration for one operator set with EigenLayer's core `KeyRegistrar`.
    pub fn key_registrar(
        chain_id: u64,
        key_registrar: impl Into<String>,
        avs: impl Into<String>,
        operator_set_id: u32,
    ) -> Self {
        let registry = Registry::KeyRegistrar { avs: avs.into(), operator_set_id };
        Self { chain_id, verifying_contract: key_registrar.into(), operator: None, registry }
    }

    /// Sets an operator other than the owner of the key.
    #[must_use]
    pub fn operator(self, operator: impl Into<String>) -> Self {
        Self { operator: Some(operator.into()), ..self }
    }
}
