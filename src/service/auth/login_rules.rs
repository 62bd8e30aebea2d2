//! Rules of logins and signed requests.

use std::sync::Arc;
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
    /// EOAs that may log in and sign requests.
    pub operators: AllowedOperators,
    /// Contract wallets (ERC-1271) that may log in.
    pub contract_wallets: Vec<Eoa>,
    /// The node that knows contract wallets, if one is configured.
    pub chain: Option<RpcClient>,
}

/// Which EOAs may log in and sign requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOperators {
    /// None: logins and signed requests are disabled.
    None,
    /// Those of the list.
    Listed(Vec<Eoa>),
    /// Every EOA, also one that was made a moment ago.
    All,
}

impl AllowedOperators {
    fn contain(&self, eoa: &Eoa) -> bool {
        match self {
            Self::None => false,
            Self::Listed(list) => list.contains(eoa),
            Self::All => true,
        }
    }

    fn list(&self, eoa: &Eoa) -> bool {
        matches!(self, Self::Listed(list) if list.contains(eoa))
    }
}

impl LoginRules {
    /// Refuses an EOA that is not among the allowed operators. Only for an EOA that has proved itself: the answer
    /// tells who is on the list.
    pub(super) fn check_allowed(&self, eoa: &Eoa) -> Result<(), ServiceError> {
        if self.operators.contain(eoa) {
            return Ok(());
        }
        let message = "this EOA is not among the allowed operators of this service";
        Err(ServiceError::new(ErrorCode::Forbidden, message))
    }

    /// Whether an EOA is known here: it is an allowed operator, or owns a key.
    pub(super) fn is_known(&self, eoa: &Eoa, store: &Store) -> bool {
        self.operators.list(eoa) || store.has_keys(eoa)
    }
}

/// The rules, where logins are enabled.
pub(super) fn enabled(rules: Option<&Arc<LoginRules>>) -> Result<&LoginRules, ServiceError> {
    let message = "logins and signed requests are disabled on this service: auth.allowed_operators is empty; \
                   access tokens that its administrator issues work";
    let rules = rules.map(Arc::as_ref).filter(|rules| rules.operators != AllowedOperators::None);
    rules.ok_or_else(|| ServiceError::new(ErrorCode::LoginDisabled, message))
}
