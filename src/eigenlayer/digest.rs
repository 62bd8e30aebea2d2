//! Digests of the three messages that EigenLayer's contracts define, 32 bytes, for
//! [`hash_to_g1`](super::hash::hash_to_g1). Not for AVS tasks: each AVS defines its own digest.

use alloy_primitives::B256;
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain};

/// EIP-712 types. Names and field order are part of the type hashes.
mod solidity {
    alloy_sol_types::sol! {
        struct BN254PubkeyRegistration { address operator; }
        struct BN254KeyRegistration { address operator; address avs; uint32 operatorSetId; bytes keyData; }
        struct BN254Certificate { uint32 referenceTimestamp; bytes32 messageHash; }
    }
}

/// EIP-712 domain version of the deployed KeyRegistrar: the first character of its `version()`.
pub const KEY_REGISTRAR_VERSION: &str = "1";

/// Registration with an AVS that has its own `BLSApkRegistry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PubkeyRegistration {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Proxy of the (Slashing)RegistryCoordinator. It owns the domain; the `BLSApkRegistry` does
    /// not.
    pub registry_coordinator: [u8; 20],
    /// Address of the operator. The key is not part of the message.
    pub operator: [u8; 20],
}

impl PubkeyRegistration {
    /// `RegistryCoordinator.domainSeparator()`.
    pub fn domain_separator(&self) -> [u8; 32] {
        self.domain().separator().0
    }

    /// EIP-712 `hashStruct` of `BN254PubkeyRegistration(address operator)`.
    pub fn struct_hash(&self) -> [u8; 32] {
        self.message().eip712_hash_struct().0
    }

    /// `RegistryCoordinator.calculatePubkeyRegistrationMessageHash(operator)`; the older
    /// `pubkeyRegistrationMessageHash(operator)` returns this digest hashed to the curve.
    pub fn digest(&self) -> [u8; 32] {
        self.message().eip712_signing_hash(&self.domain()).0
    }

    fn domain(&self) -> Eip712Domain {
        eip712_domain! {
            name: "AVSRegistryCoordinator",
            version: "v0.0.1",
            chain_id: self.chain_id,
            verifying_contract: self.registry_coordinator.into(),
        }
    }

    fn message(&self) -> solidity::BN254PubkeyRegistration {
        solidity::BN254PubkeyRegistration { operator: self.operator.into() }
    }
}

/// Registration of a key for one operator set with the core `KeyRegistrar`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRegistration<'a> {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Proxy of the KeyRegistrar.
    pub key_registrar: [u8; 20],
    /// Domain version: [`KEY_REGISTRAR_VERSION`] unless the contract reports another one.
    pub version: &'a str,
    /// Address of the operator.
    pub operator: [u8; 20],
    /// Address of the AVS that owns the operator set.
    pub avs: [u8; 20],
    /// Id of the operator set within the AVS.
    pub operator_set_id: u32,
    /// The public key in the layout of [`key_data`](super::encoding::key_data).
    pub key_data: &'a [u8; 192],
}

impl KeyRegistration<'_> {
    /// `KeyRegistrar.domainSeparator()`.
    pub fn domain_separator(&self) -> [u8; 32] {
        self.domain().separator().0
    }

    /// EIP-712 `hashStruct` of
    /// `BN254KeyRegistration(address operator,address avs,uint32 operatorSetId,bytes keyData)`.
    pub fn struct_hash(&self) -> [u8; 32] {
        self.message().eip712_hash_struct().0
    }

    /// `KeyRegistrar.getBN254KeyRegistrationMessageHash(operator, operatorSet, keyData)`.
    pub fn digest(&self) -> [u8; 32] {
        self.message().eip712_signing_hash(&self.domain()).0
    }

    fn domain(&self) -> Eip712Domain {
        eip712_domain! {
            name: "EigenLayer",
            version: self.version.to_owned(),
            chain_id: self.chain_id,
            verifying_contract: self.key_registrar.into(),
        }
    }

    fn message(&self) -> solidity::BN254KeyRegistration {
        solidity::BN254KeyRegistration {
            operator: self.operator.into(),
            avs: self.avs.into(),
            operatorSetId: self.operator_set_id,
            keyData: self.key_data.to_vec().into(),
        }
    }
}

/// Signature of an operator on a message of an AVS. The `BN254CertificateVerifier` of each
/// destination chain checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Reference time of the operator table, unix seconds.
    pub reference_timestamp: u32,
    /// Message hash, defined by the AVS.
    pub message_hash: [u8; 32],
}

impl Certificate {
    /// `BN254CertificateVerifier.calculateCertificateDigest(referenceTimestamp, messageHash)`: the
    /// bare `hashStruct` of `BN254Certificate(uint32 referenceTimestamp,bytes32 messageHash)`.
    ///
    /// The contract omits the domain on purpose: one signature is valid on every destination chain.
    pub fn digest(&self) -> [u8; 32] {
        solidity::BN254Certificate {
            referenceTimestamp: self.reference_timestamp,
            messageHash: B256::from(self.message_hash),
        }
        .eip712_hash_struct()
        .0
    }
}
