//! Requests that were signed one by one: each signature works once, also across restarts.
//!
//! The audit log remembers: the record of a signed request, nonce, signature and all, is durable before anything is
//! done, and at start the last minutes of the log are read again. Not for: what the caller may (`authorise`).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::auth::{
    CLOCK_SKEW, Caller, Credentials, LONGEST_LIFE, MAX_PATH_BYTES, RequestToSign, Unauthenticated,
    authenticate_signed, body_hash,
};
use crate::key::Eoa;
use crate::service::{AuditSubject, Context, ErrorCode, Service, ServiceError, now};
use audit_log::{Actor, Event, Input, ReadError, Value};

/// How many signatures of one operator are remembered at a time; they live five minutes.
const MOST_PER_OPERATOR: usize = 1_000;

/// How many of all operators.
const MOST: usize = 200_000;

/// How many when the next is a stranger's: keys to sign with cost nothing, and who has something here needs a place.
const MOST_FOR_STRANGERS: usize = MOST / 2;

const NAME: &str = "auth.request";

/// The signatures that were used and would still be good.
#[derive(Debug, Default)]
pub(in crate::service) struct Nonces(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    by_operator: HashMap<Eoa, HashSet<[u8; 32]>>,
    by_expiry: BTreeSet<(u64, Eoa, [u8; 32])>,
    /// What was forgotten at some time stays expired, whatever the clock says later.
    latest: u64,
}

impl Nonces {
    /// Uses a nonce up.
    fn take(&self, credentials: &Credentials, now: u64, is_known: bool) -> Result<(), ServiceError> {
        let Credentials { operator, expires, nonce, .. } = *credentials;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.forget_until(now);
        if expires <= all.latest {
            return Err(Unauthenticated::SignedTimes.into());
        }
        let count = all.by_expiry.len();
        let own = all.by_operator.get(&operator);
        if own.is_some_and(|own| own.contains(&nonce)) {
            return Err(Unauthenticated::Replayed.into());
        }
        let wait = Duration::from_secs(1);
        if own.is_some_and(|own| own.len() >= MOST_PER_OPERATOR) {
            let sentence =
                "too many signed requests of this operator in the last minutes; a token is for many calls";
            return Err(ServiceError::new(ErrorCode::RateLimited, sentence).retry_after(wait));
        }
        if count >= if is_known { MOST } else { MOST_FOR_STRANGERS } {
            let sentence = "too many signed requests in the last minutes";
            return Err(ServiceError::new(ErrorCode::Overloaded, sentence).retry_after(wait));
        }
        all.remember(operator, nonce, expires);
        Ok(())
    }
}

impl Remembered {
    fn remember(&mut self, operator: Eoa, nonce: [u8; 32], expires: u64) {
        self.by_operator.entry(operator).or_default().insert(nonce);
        self.by_expiry.insert((expires, operator, nonce));
    }

    fn forget_until(&mut self, now: u64) {
        self.latest = self.latest.max(now);
        while let Some(&(expires, operator, nonce)) = self.by_expiry.first()
            && expires <= self.latest
        {
            self.by_expiry.pop_first();
            if let Some(own) = self.by_operator.get_mut(&operator) {
                own.remove(&nonce);
                if own.is_empty() {
                    self.by_operator.remove(&operator);
                }
            }
        }
    }
}

impl Service {
    /// The caller whose signature the request carries. When this answers, the signature is spent, durably.
    ///
    /// # Errors
    /// When the signature is not good for this request now, was used before, or nothing can be written.
    pub async fn recognise_signed(
        &self,
        context: &Context,
        credentials: &Credentials,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<Caller, ServiceError> {
        let login = self.login()?;
        if path.len() > MAX_PATH_BYTES {
            let sentence = format!("the path of a signed request has at most {MAX_PATH_BYTES} bytes");
            return Err(ServiceError::new(ErrorCode::InvalidRequest, sentence));
        }
        let Credentials { operator, issued, expires, nonce, signature_bytes, .. } = *credentials;
        let audience = &login.rules.audience;
        let body_hash = body_hash(body);
        let request = RequestToSign { audience, method, path, body_hash, issued, expires, nonce };
        let at = now();
        let caller = authenticate_signed(credentials, &request, at)?;
        login.admits(&operator)?;
        let is_known = self.is_known(&operator)?;
        self.nonces.take(credentials, u64::try_from(at.as_second()).unwrap_or_default(), is_known)?;
        let input = Input::Fields(vec![
            ("nonce", Value::Bytes(nonce.to_vec())),
            ("issued", Value::Number(issued)),
            ("expires", Value::Number(expires)),
            ("method", Value::Text(method.to_owned())),
            ("path", Value::Text(path.to_owned())),
            ("body_hash", Value::Bytes(body_hash.to_vec())),
            ("signature", Value::Bytes(signature_bytes.to_vec())),
        ]);
        let event = Event {
            operation: NAME,
            actor: Actor::operator(operator.to_string(), context.address()),
            request: Some(context.request().to_string()),
            key: None,
            input: Some(input),
            code: "ok",
        };
        self.audit.note_durable(event).await?;
        Ok(caller)
    }

    /// Records that a signed request was refused before it was known what it asks for, and who says to have signed.
    pub fn refuse_signed(
        &self,
        context: &Context,
        operator: Option<Eoa>,
        failure: ServiceError,
    ) -> ServiceError {
        self.refuse(NAME, context, operator.map(AuditSubject::keys_of).unwrap_or_default(), failure)
    }

    /// Reads again which signatures were used in the last minutes. Runs once, before the first request. Blocks.
    ///
    /// # Errors
    /// When the log cannot be read: then a replay could not be seen.
    pub fn remember_signed(&self) -> Result<usize, ReadError> {
        let start = u64::try_from(now().as_second()).unwrap_or_default();
        // An hour more than any signature lives: clocks are set back, too.
        let since = start.saturating_sub(LONGEST_LIFE + CLOCK_SKEW + 3_600);
        let mut all = self.nonces.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in self.audit.lines_since(since)? {
            let line = line?;
            if !line.may_be_of(NAME) {
                continue;
            }
            if let Some((operator, nonce, expires)) = used(&line.json)
                && expires > start
            {
                all.remember(operator, nonce, expires);
            }
        }
        Ok(all.by_expiry.len())
    }
}

/// Operator, nonce and expiry of the record of a signed request that was let in.
fn used(json: &str) -> Option<(Eoa, [u8; 32], u64)> {
    let record: serde_json::Value = serde_json::from_str(json).ok()?;
    let text = |pointer: &str| record.pointer(pointer)?.as_str();
    if text("/op") != Some(NAME) || text("/code") != Some("ok") {
        return None;
    }
    let mut nonce = [0; 32];
    hex::decode_to_slice(text("/input/fields/nonce")?.strip_prefix("0x")?, &mut nonce).ok()?;
    Some((text("/actor/eoa")?.parse().ok()?, nonce, record.pointer("/input/fields/expires")?.as_u64()?))
}

#[cfg(test)]
mod tests;
