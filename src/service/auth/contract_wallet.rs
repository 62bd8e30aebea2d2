//! Contract wallets: ERC-1271, by way of the node that is configured.
//!
//! Strangers can make the service ask, so it asks little and not too much at a time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use alloy_sol_types::SolCall;

use crate::chain::{RpcClient, RpcClientError};
use crate::key::Eoa;
use crate::service::auth::login::Login;
use crate::service::{ErrorCode, ServiceError};

/// The longest signature, bytes.
const LONGEST_SIGNATURE: usize = 8 * 1024;

mod solidity {
    alloy_sol_types::sol! {
        function isValidSignature(bytes32 hash, bytes signature) returns (bytes4 magic);
    }
}

impl Login {
    /// Whether the contract at the address takes the signature over one of the digests (ERC-1271).
    pub(in crate::service) async fn is_valid(
        &self,
        chain: &RpcClient,
        account: &Eoa,
        digests: [[u8; 32]; 2],
        signature: &[u8],
    ) -> Result<bool, ServiceError> {
        if signature.len() > LONGEST_SIGNATURE {
            let sentence = format!("a signature has at most {LONGEST_SIGNATURE} bytes");
            return Err(ServiceError::new(ErrorCode::InvalidRequest, sentence).field("signature"));
        }
        let busy =
            || ServiceError::new(ErrorCode::Overloaded, "too many contract wallets log in at the same time");
        let _asking = self.asking.try_acquire().map_err(|_| busy().retry_after(Duration::from_secs(1)))?;
        let failed = |error| {
            let sentence = "the node that knows contract wallets cannot be asked";
            ServiceError::new(ErrorCode::Overloaded, sentence)
                .retry_after(Duration::from_secs(5))
                .source(error)
        };
        if !self.right_chain.load(Ordering::Relaxed) {
            let (found, wanted) = (chain.id().await.map_err(failed)?, self.rules.audience.chain_id());
            if found != wanted {
                let cause = format!("chain.rpc_url is on chain {found}, auth.chain_id is {wanted}");
                return Err(ServiceError::internal(cause));
            }
            self.right_chain.store(true, Ordering::Relaxed);
        }
        for digest in digests {
            let call =
                solidity::isValidSignatureCall { hash: digest.into(), signature: signature.to_vec().into() };
            match chain.call((*account.as_bytes()).into(), &call.abi_encode()).await {
                Ok(answer) if is_magic(&answer) => return Ok(true),
                // A contract that reverts does not take it; an address without code answers nothing.
                Ok(_) | Err(RpcClientError::Refused { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(false)
    }
}

/// Exactly one word: the selector of `isValidSignature(bytes32,bytes)`, filled up with zeros.
fn is_magic(answer: &[u8]) -> bool {
    answer.split_at_checked(4).is_some_and(|(magic, rest)| {
        magic == solidity::isValidSignatureCall::SELECTOR && rest.len() == 28 && rest.iter().all(|b| *b == 0)
    })
}
