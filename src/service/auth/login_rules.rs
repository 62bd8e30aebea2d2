//! Rules of logins and signed requests.

use std::time::Duration;

use crate::auth::Audience;
use crate::chain::RpcClient;
use crate::key::Eoa;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::store::Store;

/// Rules of logins and signed requests.
#[derive(Debug)]
pub struct LoginRules {
    /// This service, as signatures name it.
    pub audience: Audience,
    /// How long an access token is valid if the request names no time.
    pub usual_life: Duration,
    /// How long an access token may be valid.
    pub longest_life: Duration,
    /// EOAs that may log in and sign requests; empty for all.
    pub operators: Vec<Eoa>,
    /// Contract wallets (ERC-1271) that may log in.
    pub contract_wallets: Vec<Eoa>,
    /// The node that knows contract wallets, if one is configured.
    pub chain: Option<RpcClient>,
}

impl LoginRules {
    /// Refuses an EOA that is not among the allowed operators.
    pub(super) fn check_allowed(&self, eoa: &Eoa) -> Result<(), ServiceError> {
        if self.operators.is_empty() || self.operators.contains(eoa) {
            return Ok(());
        }
        let message = "this EOA is not among the allowed operators of this service";
        Err(ServiceError::new(ErrorCode::Forbidden, message))
    }

    /// Whether an EOA is known here: it is an allowed operator, or owns a key.
    pub(super) fn is_known(&self, eoa: &Eoa, store: &Store) -> bool {
        self.operators.contains(eoa) || store.has_keys(eoa)
    }
}

/// The rules, where logins are enabled.
pub(super) fn enabled<T>(rules: Option<&T>) -> Result<&T, ServiceError> {
    let message = "login is not enabled on this service (auth.public_url is not set)";
    rules.ok_or_else(|| ServiceError::new(ErrorCode::NotFound, message))
}
