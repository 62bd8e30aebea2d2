//! Call data and return values of the view functions that return the registered key. Not for
//! sending calls (`chain`).

use alloy_sol_types::SolCall;

mod solidity {
    alloy_sol_types::sol! {
        struct OperatorSet { address avs; uint32 id; }
        function getKeyHash(OperatorSet operatorSet, address operator) external view returns (bytes32);
        function blsApkRegistry() external view returns (address);
        function operatorToPubkeyHash(address operator) external view returns (bytes32);
    }
}

/// `KeyRegistrar.getKeyHash((avs, id), operator)`: the key hash of the registered key, zeros if
/// there is none.
pub fn key_hash_call(avs: &[u8; 20], operator_set_id: u32, operator: &[u8; 20]) -> Vec<u8> {
    let operator_set = solidity::OperatorSet { avs: avs.into(), id: operator_set_id };
    solidity::getKeyHashCall { operatorSet: operator_set, operator: operator.into() }.abi_encode()
}

/// `RegistryCoordinator.blsApkRegistry()`: the address of the `BLSApkRegistry` of the AVS.
pub fn apk_registry_call() -> Vec<u8> {
    solidity::blsApkRegistryCall {}.abi_encode()
}

/// `BLSApkRegistry.operatorToPubkeyHash(operator)`: the operator id of the registered key, zeros if
/// there is none.
pub fn pubkey_hash_call(operator: &[u8; 20]) -> Vec<u8> {
    solidity::operatorToPubkeyHashCall { operator: operator.into() }.abi_encode()
}

/// The address in a return value of one word; `None` for any other value.
pub fn address_in(answer: &[u8]) -> Option<[u8; 20]> {
    let word: &[u8; 32] = answer.try_into().ok()?;
    let (zeros, address) = word.split_at_checked(12)?;
    zeros.iter().all(|byte| *byte == 0).then(|| address.try_into().ok())?
}
