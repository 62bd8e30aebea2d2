//! What a chain says: read-only JSON-RPC calls to one node.
//!
//! Not for: what the answers mean (`eigenlayer` and the operations know), transactions (the service sends none).

use alloy_primitives::Address;
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use crate::outbound::{Endpoint, Outbound, OutboundError};

/// A node.
#[derive(Clone, Debug)]
pub struct RpcClient {
    endpoint: Endpoint,
    outbound: Outbound,
}

/// Why a node did not say what it was asked for.
#[derive(Debug, Error)]
pub enum RpcClientError {
    /// There is no whole answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The node answered with an error: the call reverts, or the node does not take it.
    #[error("the node refused the call: {message} (code {code})")]
    Refused {
        /// The JSON-RPC code.
        code: i64,
        /// The node's own words.
        message: String,
    },
    /// The answer is no JSON-RPC answer of the expected form.
    #[error("{0} gave an answer that is not JSON-RPC (HTTP status {1})")]
    Malformed(Endpoint, u16),
}

impl RpcClientError {
    /// Whether the contract itself said no; otherwise the node is the one that does not take the call.
    pub fn is_revert(&self) -> bool {
        // 3 is geth's code for a revert with data, -32015 Parity's and Nethermind's for any.
        matches!(self, Self::Refused { code, message }
            if matches!(code, 3 | -32015) || message.to_ascii_lowercase().contains("revert"))
    }
}

#[derive(Deserialize)]
struct RpcResult {
    result: Option<String>,
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct RpcError {
    code: i64,
    message: String,
}

impl RpcClient {
    /// The node at an endpoint.
    pub const fn new(endpoint: Endpoint, outbound: Outbound) -> Self {
        Self { endpoint, outbound }
    }

    /// The chain's id (`eth_chainId`).
    ///
    /// # Errors
    /// When the node cannot be asked or makes no sense.
    pub async fn id(&self) -> Result<u64, RpcClientError> {
        let (result, status) = self.ask("eth_chainId", &json!([])).await?;
        let id = result.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        id.ok_or_else(|| RpcClientError::Malformed(self.endpoint.clone(), status))
    }

    /// What a contract's function returns at the newest block (`eth_call`). Empty where there is no contract.
    ///
    /// # Errors
    /// When the call reverts, or the node cannot be asked or makes no sense.
    pub async fn call(&self, contract: Address, data: &[u8]) -> Result<Vec<u8>, RpcClientError> {
        let data = format!("0x{}", hex::encode(data));
        let call = json!([{"to": contract.to_checksum(None), "data": data}, "latest"]);
        let (result, status) = self.ask("eth_call", &call).await?;
        let bytes = result.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
        bytes.ok_or_else(|| RpcClientError::Malformed(self.endpoint.clone(), status))
    }

    async fn ask(&self, method: &str, params: &serde_json::Value) -> Result<(String, u16), RpcClientError> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let reply = self.outbound.post_json(&self.endpoint, &[], request.to_string().into_bytes()).await?;
        let malformed = || RpcClientError::Malformed(self.endpoint.clone(), reply.status);
        let answer: RpcResult = serde_json::from_slice(&reply.body).map_err(|_| malformed())?;
        match answer {
            RpcResult { error: Some(RpcError { code, message }), .. } => Err(RpcClientError::Refused {
                code,
                message: message.chars().filter(|c| !c.is_control()).take(200).collect(),
            }),
            RpcResult { result: Some(result), .. } if (200..300).contains(&reply.status) => {
                Ok((result, reply.status))
            }
            // A gateway that failed answers for no chain, whatever it has in its cache.
            RpcResult { error: None, .. } => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests;
