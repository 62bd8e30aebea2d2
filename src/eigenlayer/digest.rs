//! The three messages that EigenLayer's contracts define themselves, as 32-byte digests for
//! [`hash_to_g1`](super::hash_to_g1). NOT the digest of an AVS task: that is the AVS's own.

use alloy_primitives::B256;
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain};

/// The EIP-712 types, by the names and the field order that their type hashes fix.
mod solidity {
    alloy_sol_types::sol! {
        struct BN254PubkeyRegistration { address operator; }
        struct BN254KeyRegistration { address operator; address avs; uint32 operatorSetId; bytes keyData; }
        struct BN254Certificate { uint32 referenceTimestamp; bytes32 messageHash; }
    }
}

/// The EIP-712 domain version of the KeyRegistrar as deployed: the first character of its `version()`.
pub const KEY_REGISTRAR_VERSION: &str = "1";

/// Registration with an AVS that has a `BLSApkRegistry` of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PubkeyRegistration {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The proxy of the (Slashing)RegistryCoordinator, which owns the domain; not the `BLSApkRegistry`.
    pub registry_coordinator: [u8; 20],
    /// The operator's address. The key is not part of the message.
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
    /// `pubkeyRegistrationMessageHash(operator)` answers this digest already hashed to the curve.
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
    /// The KeyRegistrar's proxy.
    pub key_registrar: [u8; 20],
    /// The domain version, [`KEY_REGISTRAR_VERSION`] unless the contract says otherwise.
    pub version: &'a str,
    /// The operator's address.
    pub operator: [u8; 20],
    /// The AVS that owns the operator set.
    pub avs: [u8; 20],
    /// The set's number within the AVS.
    pub operator_set_id: u32,
    /// The key itself, as [`key_data`](super::key_data) lays it out.
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

/// An operator's vote for a message, checked by the `BN254CertificateVerifier` of every destination chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The operator table that the certificate refers to, in unix seconds.
    pub reference_timestamp: u32,
    /// The AVS's message.
    pub message_hash: [u8; 32],
}

impl Certificate {
    /// `BN254CertificateVerifier.calculateCertificateDigest(referenceTimestamp, messageHash)`: the bare
    /// `hashStruct` of `BN254Certificate(uint32 referenceTimestamp,bytes32 messageHash)`.
    ///
    /// The contract leaves the domain out on purpose: one signature is valid on every destination chain.
    pub fn digest(&self) -> [u8; 32] {
        solidity::BN254Certificate {
            referenceTimestamp: self.reference_timestamp,
            messageHash: B256::from(self.message_hash),
        }
        .eip712_hash_struct()
        .0
    }
}
