//! How many workers the token has sessions for. Tried, because many tokens do not tell, and another program may hold
//! some. Not for the sessions that are used.

use cryptoki::error::RvError;

use crate::error::OpenError;
use crate::pkcs11::{Session, TokenError};

/// Sessions beside those of the workers: administration, canary, recovery. The one that keeps the login is open already.
const OTHERS: usize = 3;

/// The workers to start, of those wanted. Fewer where the token grants fewer sessions; at least one, or none starts.
pub(crate) fn workers_granted(
    session: impl Fn() -> Result<Session, TokenError>,
    wanted: usize,
) -> Result<usize, OpenError> {
    let mut open = Vec::new();
    while open.len() < wanted + OTHERS {
        match session() {
            Ok(session) => open.push(session),
            Err(error) if error.code() == Some(RvError::SessionCount) => break,
            Err(error) => return Err(error.into()),
        }
    }
    // With the one that keeps the login.
    let (granted, needed) = (open.len() + 1, wanted + OTHERS + 1);
    match open.len().saturating_sub(OTHERS) {
        0 => Err(OpenError::TooFewSessions { granted, needed }),
        workers if workers == wanted => Ok(wanted),
        workers => {
            tracing::warn!(
                granted,
                needed,
                workers,
                "the token grants fewer sessions than enclave.workers needs, so fewer workers are started; raise the \
                 HSM's limit, or lower enclave.workers"
            );
            Ok(workers)
        }
    }
}
