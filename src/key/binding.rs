//! Registry entry that a version is bound to. A version is bound to at most one, because a registry
//! accepts each key hash only once.
//!
//! Not for: reading the registry (`rotation`), or the digests of registrations (`eigenlayer`).

use std::fmt;

use super::eoa::Eoa;

/// Registry entry of a version, fixed when the version is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The registry, and the entry in it.
    pub registry: Registry,
    /// The verifying contract of the EIP-712 domain: the proxy of the registry coordinator or of
    /// the KeyRegistrar.
    pub verifying_contract: Eoa,
    /// Address of the operator.
    pub operator: Eoa,
}

/// The two registries of EigenLayer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    /// The `BLSApkRegistry` of one AVS: one key per operator. The key cannot be replaced.
    BlsApkRegistry,
    /// The core `KeyRegistrar`: one key per operator and operator set.
    KeyRegistrar {
        /// Address of the AVS.
        avs: Eoa,
        /// Id of the operator set within the AVS.
        operator_set_id: u32,
    },
}

impl Registry {
    /// Name of the registry in the API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BlsApkRegistry => "bls_apk_registry",
            Self::KeyRegistrar { .. } => "key_registrar",
        }
    }
}

/// The form in the audit log.
impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain_id, registry, verifying_contract, operator } = self;
        write!(f, "{} {verifying_contract} on chain {chain_id}, operator {operator}", registry.as_str())?;
        match registry {
            Registry::BlsApkRegistry => Ok(()),
            Registry::KeyRegistrar { avs, operator_set_id } => write!(f, ", set {operator_set_id} of {avs}"),
        }
    }
}
