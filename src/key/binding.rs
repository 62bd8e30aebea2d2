//! Where a version is registered or will be: one place for ever, because the chain spends a key hash for ever.
//!
//! Not for: asking the chain (`rotation`), or the digests of registrations (`eigenlayer`).

use std::fmt;

use super::Eoa;

/// A place in a registry. A version has at most one, from its creation on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// EIP-155.
    pub chain_id: u64,
    /// Which registry, and the place in it.
    pub registry: Registry,
    /// The contract of the signed domain: the registry coordinator's or the KeyRegistrar's proxy.
    pub verifying_contract: Eoa,
    /// Who registers.
    pub operator: Eoa,
}

/// The two registries of EigenLayer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    /// An AVS's own `BLSApkRegistry`: one key per operator, for ever.
    BlsApkRegistry,
    /// The core `KeyRegistrar`: one key per operator and operator set.
    KeyRegistrar {
        /// The AVS.
        avs: Eoa,
        /// Its operator set.
        operator_set_id: u32,
    },
}

impl Registry {
    /// The word of api.md.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BlsApkRegistry => "bls_apk_registry",
            Self::KeyRegistrar { .. } => "key_registrar",
        }
    }
}

/// As the audit log says it.
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
