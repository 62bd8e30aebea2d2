//! Call data for the views by which the registries say what they will check. NOT the asking: that is `chain`'s.

use alloy_sol_types::SolCall;

mod solidity {
    #![allow(missing_docs, reason = "the contracts' own interfaces are their documentation")]

    alloy_sol_types::sol! {
        struct OperatorSet { address avs; uint32 id; }
        function pubkeyRegistrationMessageHash(address operator);
        function getBN254KeyRegistrationMessageHash(address operator, OperatorSet operatorSet, bytes keyData);
    }
}

/// `RegistryCoordinator.pubkeyRegistrationMessageHash(operator)`, which every version has: answers the point `x‖y` that a
/// registration multiplies.
pub fn pubkey_registration_message_hash(operator: &[u8; 20]) -> Vec<u8> {
    solidity::pubkeyRegistrationMessageHashCall { operator: operator.into() }.abi_encode()
}

/// `KeyRegistrar.getBN254KeyRegistrationMessageHash(operator, (avs, id), keyData)`: answers the digest.
pub fn key_registration_message_hash(
    operator: &[u8; 20],
    avs: &[u8; 20],
    operator_set_id: u32,
    key_data: &[u8; 192],
) -> Vec<u8> {
    let set = solidity::OperatorSet { avs: avs.into(), id: operator_set_id };
    let (operator, key_data) = (operator.into(), key_data.to_vec().into());
    solidity::getBN254KeyRegistrationMessageHashCall { operator, operatorSet: set, keyData: key_data }
        .abi_encode()
}
