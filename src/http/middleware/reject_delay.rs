//! Delay of `rate_limited` responses: half of the time that they ask the client to wait, at most one second.
//!
//! A refusal costs a tenth of a signature. A client that ignores `Retry-After` and repeats at once is slowed down to
//! one refusal under way. Not for: `overloaded`, whose client has waited in the queue already (`limits::admission`).

use std::time::Duration;

use crate::http::error::LoggedError;
use crate::service::{ErrorCode, Peer};

const MAX_DELAY: Duration = Duration::from_secs(1);

/// The delay of a response; none for the local operator.
pub(crate) fn delay(peer: Option<Peer>, error: Option<LoggedError>) -> Option<Duration> {
    match (peer, error) {
        (Some(Peer::Tcp(_)), Some(LoggedError { code: ErrorCode::RateLimited, retry })) => {
            retry.map(|retry| (retry / 2).min(MAX_DELAY))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::LocalProcess;

    #[test]
    fn only_a_rate_limited_client_is_delayed() {
        let client = Some(Peer::Tcp(([127, 0, 0, 1], 1).into()));
        let error = |code, retry: u64| Some(LoggedError { code, retry: Some(Duration::from_millis(retry)) });
        let delayed = |code, retry| delay(client, error(code, retry)).map(|delay| delay.as_millis());
        assert_eq!(delayed(ErrorCode::RateLimited, 100), Some(50));
        assert_eq!(delayed(ErrorCode::RateLimited, 60_000), Some(1_000));
        assert_eq!(delayed(ErrorCode::Overloaded, 100), None);
        assert_eq!(delayed(ErrorCode::AuditUnavailable, 100), None);
        assert_eq!(delayed(ErrorCode::ShuttingDown, 100), None);
        assert_eq!(delay(Some(Peer::Local(LocalProcess::this())), error(ErrorCode::RateLimited, 100)), None);
        assert_eq!(delay(client, Some(LoggedError { code: ErrorCode::RateLimited, retry: None })), None);
        assert_eq!(delay(client, None), None);
    }
}
