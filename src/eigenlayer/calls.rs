//! Call data of the view functions that return the message of a registration. Not for sending calls
//! (`chain`).

use alloy_sol_types::SolCall;

mod solidity {
    #![allow(missing_docs, reason = "the contracts document their interfaces")]

    alloy_sol_types::sol! {
        struct OperatorSet { address avs; uint32 id; }
        function pubkeyRegistrationMessageHash(address operator);
        function getBN254KeyRegistrationMessageHash(address operator, OperatorSet operatorSet, bytes keyData);
    }
}

/// `RegistryCoordinator.pubkeyRegistrationMessageHash(operator)`, part of every deployed version.
/// It returns the point `x‖y` that a registration signs.
pub fn pubkey_registration_message_hash(operator: &[u8; 20]) -> Vec<u8> {
    solidity::pubkeyRegistrationMessageHashCall { operator: operator.into() }.abi_encode()
}

/// `KeyRegistrar.getBN254KeyRegistrationMessageHash(operator, (avs, id), keyData)`. It returns the
/// digest that a registration signs.
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
