//! Signatures of contract wallets (ERC-1271), checked through the configured node.
//!
//! Clients without credentials cause these calls, so their size and their number at a time are bounded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_sol_types::SolCall;
use tokio::sync::Semaphore;

use crate::chain::{RpcClient, RpcClientError};
use crate::key::Eoa;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;

/// The longest signature, bytes.
const LONGEST_SIGNATURE: usize = 8 * 1024;

/// Logins of contract wallets at a time.
const CONCURRENT_CHECKS: usize = 4;

mod solidity {
    alloy_sol_types::sol! {
        function isValidSignature(bytes32 hash, bytes signature) returns (bytes4 magic);
    }
}

/// Checks signatures of contract wallets.
#[derive(Debug)]
pub(super) struct ContractWallets {
    checks: Semaphore,
    /// Whether the node answered that it is on the right chain.
    right_chain: AtomicBool,
}

impl ContractWallets {
    pub(super) const fn new() -> Self {
        Self { checks: Semaphore::const_new(CONCURRENT_CHECKS), right_chain: AtomicBool::new(false) }
    }

    /// Whether the contract at the address accepts the signature over one of the digests.
    pub(super) async fn accepts(
        &self,
        (node, chain_id): (&RpcClient, u64),
        account: &Eoa,
        digests: [[u8; 32]; 2],
        signature: &[u8],
    ) -> Result<bool, ServiceError> {
        if signature.len() > LONGEST_SIGNATURE {
            let message = format!("a signature has at most {LONGEST_SIGNATURE} bytes");
            return Err(ServiceError::new(ErrorCode::InvalidRequest, message).field("signature"));
        }
        let busy = || {
            ServiceError::new(ErrorCode::Overloaded, "too many contract wallets log in at the same time")
                .retry_after(Duration::from_secs(1))
        };
        let _turn = self.checks.try_acquire().map_err(|_| busy())?;
        let failed = |error: RpcClientError| {
            let message = "the node that checks contract wallets does not answer";
            ServiceError::new(ErrorCode::Overloaded, message)
                .retry_after(Duration::from_secs(5))
                .source(error)
        };
        if !self.right_chain.load(Ordering::Relaxed) {
            let found = node.id().await.map_err(failed)?;
            if found != chain_id {
                let cause = format!("chain.rpc_url is on chain {found}, auth.chain_id is {chain_id}");
                return Err(ServiceError::internal(cause));
            }
            self.right_chain.store(true, Ordering::Relaxed);
        }
        for digest in digests {
            let call =
                solidity::isValidSignatureCall { hash: digest.into(), signature: signature.to_vec().into() };
            match node.call((*account.as_bytes()).into(), &call.abi_encode()).await {
                Ok(answer) if is_magic(&answer) => return Ok(true),
                // A contract that reverts does not accept it; an address without code answers nothing.
                Ok(_) | Err(RpcClientError::Refused { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(false)
    }
}

/// Exactly one word: the selector of `isValidSignature(bytes32,bytes)`, padded with zeros (ERC-1271).
fn is_magic(answer: &[u8]) -> bool {
    answer.split_at_checked(4).is_some_and(|(magic, rest)| {
        magic == solidity::isValidSignatureCall::SELECTOR && rest.len() == 28 && rest.iter().all(|b| *b == 0)
    })
}
