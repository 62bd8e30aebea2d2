//! How long the answer to whoever is sent away is held back: half of the time that it asks for.
//!
//! A refusal costs a tenth of a signature, so clients that ask again at once would take the machine from those that
//! wait as they are told. Held back, each has one refusal under way. Not for: whom to send away (`gate`, `rates`).

use std::time::Duration;

use crate::http::error::Answered;
use crate::service::{Code, Peer};

/// The longest that an answer is held back.
const LONGEST: Duration = Duration::from_secs(1);

/// So long; nothing for this machine's own operator, and for failures that are not the client's to mend.
pub(crate) fn time(peer: Option<Peer>, answered: Option<Answered>) -> Option<Duration> {
    match (peer, answered) {
        (Some(Peer::Tcp(_)), Some(Answered { code: Code::Overloaded | Code::RateLimited, retry })) => {
            retry.map(|retry| (retry / 2).min(LONGEST))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_sent_away_is_held_and_nobody_else() {
        let client = Some(Peer::Tcp(([127, 0, 0, 1], 1).into()));
        let answered = |code, retry: u64| Some(Answered { code, retry: Some(Duration::from_millis(retry)) });
        let held = |code, retry| time(client, answered(code, retry)).map(|held| held.as_millis());
        assert_eq!(held(Code::Overloaded, 100), Some(50));
        assert_eq!(held(Code::RateLimited, 60_000), Some(1_000));
        assert_eq!(held(Code::AuditUnavailable, 100), None);
        assert_eq!(held(Code::ShuttingDown, 100), None);
        assert_eq!(time(Some(Peer::Local), answered(Code::Overloaded, 100)), None);
        assert_eq!(time(client, Some(Answered { code: Code::Overloaded, retry: None })), None);
        assert_eq!(time(client, None), None);
    }
}
