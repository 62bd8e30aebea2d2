//! The view functions of the registries that say which key they hold, as call data and answers. NOT the asking.

use alloy_sol_types::SolCall;

mod solidity {
    alloy_sol_types::sol! {
        struct OperatorSet { address avs; uint32 id; }
        function getKeyHash(OperatorSet operatorSet, address operator) external view returns (bytes32);
        function blsApkRegistry() external view returns (address);
        function operatorToPubkeyHash(address operator) external view returns (bytes32);
    }
}

/// `KeyRegistrar.getKeyHash((avs, id), operator)`: the operator id of the key that is registered, zeros for none.
pub fn key_hash_call(avs: &[u8; 20], operator_set_id: u32, operator: &[u8; 20]) -> Vec<u8> {
    let operator_set = solidity::OperatorSet { avs: avs.into(), id: operator_set_id };
    solidity::getKeyHashCall { operatorSet: operator_set, operator: operator.into() }.abi_encode()
}

/// `RegistryCoordinator.blsApkRegistry()`: the address of the AVS's own registry.
pub fn apk_registry_call() -> Vec<u8> {
    solidity::blsApkRegistryCall {}.abi_encode()
}

/// `BLSApkRegistry.operatorToPubkeyHash(operator)`: the operator id of the operator's key, zeros for none.
pub fn pubkey_hash_call(operator: &[u8; 20]) -> Vec<u8> {
    solidity::operatorToPubkeyHashCall { operator: operator.into() }.abi_encode()
}

/// The address in an answer of one word; none in anything else.
pub fn address_in(answer: &[u8]) -> Option<[u8; 20]> {
    let word: &[u8; 32] = answer.try_into().ok()?;
    let (zeros, address) = word.split_at_checked(12)?;
    zeros.iter().all(|byte| *byte == 0).then(|| address.try_into().ok())?
}
