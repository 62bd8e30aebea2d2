//! Signed requests: the signature of each request works once, also across restarts.
//!
//! The audit log keeps the nonces: the record of a signed request is durable before anything is done, and at start
//! the last minutes of the log are read. Its newest time is the least that credentials are judged by from then on: a
//! clock that is set back makes no old signature new. Not for: what the caller may do (`authorise`).

use std::sync::Arc;

use audit_log::{Actor, AuditLog, Event, Input, Value};

use jiff::Timestamp;

use super::login_rules::{LoginRules, enabled};
use super::replay_window::ReplayWindow;
use crate::auth::{
    CLOCK_SKEW, Caller, Credentials, LONGEST_LIFE, MAX_PATH_BYTES, RequestToSign, authenticate_signed,
    body_hash,
};
use crate::clock::Clock;
use crate::key::Eoa;
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::service::operation::{AUDIT_CLOCK_SET_BACK_ACCEPTED, AUTH_REQUEST};
use crate::service::recorder::{Recorder, event};
use crate::service::subject::AuditSubject;
use crate::store::Store;

/// How much older records are read at start than any signature is valid, seconds: an operator may set the clock back.
const RESTORED_MARGIN: u64 = 3_600;

/// Operator, nonce and expiry of a signed request that was accepted.
type UsedNonce = (Eoa, [u8; 32], u64);

/// Signed requests.
#[derive(Debug)]
pub struct SignedRequests {
    recorder: Recorder,
    log: AuditLog,
    store: Store,
    rules: Option<Arc<LoginRules>>,
    window: ReplayWindow,
    clock: Clock,
}

impl SignedRequests {
    pub(in crate::service) fn new(
        (recorder, log): (Recorder, AuditLog),
        store: Store,
        rules: Option<Arc<LoginRules>>,
        clock: Clock,
    ) -> Self {
        Self { recorder, log, store, rules, window: ReplayWindow::default(), clock }
    }

    /// The caller whose signature the request carries. When this answers, the signature is used, durably.
    ///
    /// # Errors
    /// When the signature is not valid for this request now, was used before, or the log cannot be written.
    pub async fn authenticate(
        &self,
        context: &Context,
        credentials: &Credentials,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<Caller, ServiceError> {
        let rules = enabled(self.rules.as_ref())?;
        if path.len() > MAX_PATH_BYTES {
            let message = format!("the path of a signed request has at most {MAX_PATH_BYTES} bytes");
            return Err(ServiceError::new(ErrorCode::InvalidRequest, message));
        }
        let Credentials { operator, issued, expires, nonce, signature_bytes, .. } = *credentials;
        let audience = &rules.audience;
        let body_hash = body_hash(body);
        let request = RequestToSign { audience, method, path, body_hash, issued, expires, nonce };
        let caller = authenticate_signed(credentials, &request, self.clock.latest())?;
        rules.check_allowed(&operator)?;
        let is_known = rules.is_known(&operator, &self.store);
        self.window.take(credentials, unix(self.clock.highest()), is_known)?;
        let subject = AuditSubject::fields(vec![
            ("nonce", Value::Bytes(nonce.to_vec())),
            ("issued", Value::Number(issued)),
            ("expires", Value::Number(expires)),
            ("method", Value::Text(method.to_owned())),
            ("path", Value::Text(path.to_owned())),
            ("body_hash", Value::Bytes(body_hash.to_vec())),
            ("signature", Value::Bytes(signature_bytes.to_vec())),
        ]);
        let mut event = event(&AUTH_REQUEST, context, subject, "ok");
        event.actor = Actor::operator(operator.to_string(), context.address());
        self.recorder.note_durable(event).await?;
        Ok(caller)
    }

    /// Records that a signed request was refused before its operation was known, and which operator it names.
    pub fn refuse(&self, context: &Context, operator: Option<Eoa>, error: ServiceError) -> ServiceError {
        let subject = operator.map(AuditSubject::keys_of).unwrap_or_default();
        self.recorder.refuse(&AUTH_REQUEST, context, subject, error)
    }

    /// Reads from the log which signatures were used in the last minutes, and the highest time that it has seen,
    /// unless the administrator gives that up. Runs once, before the first request. Blocks.
    ///
    /// # Errors
    /// When the log cannot be read: then a replay could not be detected.
    pub async fn restore(&self, accept_clock_set_back: bool) -> Result<usize, ServiceError> {
        let wall = self.clock.now();
        let (seen, nonces) = self.read_back(wall)?;
        match seen {
            Some(seen) if accept_clock_set_back && seen > wall => {
                let fields =
                    vec![("seen", Value::Text(seen.to_string())), ("now", Value::Text(wall.to_string()))];
                let event = Event {
                    operation: AUDIT_CLOCK_SET_BACK_ACCEPTED.name,
                    actor: Actor::local(),
                    request: None,
                    key: None,
                    input: Some(Input::Fields(fields)),
                    code: "ok",
                };
                self.recorder.note_durable(event).await?;
            }
            Some(seen) => self.clock.raise(seen),
            None => {}
        }
        let behind = self.clock.highest().as_second().saturating_sub(wall.as_second());
        if behind > i64::try_from(CLOCK_SKEW).unwrap_or_default() {
            tracing::error!(
                seconds = behind,
                "the clock is behind the newest audit record: logins, access tokens and signed requests are judged by \
                 the time of that record. Correct the clock; if the later time was wrong, start once with \
                 --accept-clock-set-back"
            );
        }
        // A clock that is ahead by mistake forgets no nonce.
        let expired = unix(seen.map_or(wall, |seen| seen.min(wall)));
        for (operator, nonce, expires) in nonces.into_iter().filter(|(_, _, expires)| *expires > expired) {
            self.window.restore(operator, nonce, expires);
        }
        Ok(self.window.len())
    }

    /// The newest time that the log had before this run, and the nonces of the last minutes before that time or the
    /// wall clock's, whichever is earlier: a clock that is ahead hides no segment.
    fn read_back(&self, wall: Timestamp) -> Result<(Option<Timestamp>, Vec<UsedNonce>), ServiceError> {
        // All times have one form, in which their order is that of the texts.
        let (mut before_this_run, mut nonces, mut until) = (String::new(), Vec::new(), u64::MAX);
        let first_of = |time: Timestamp| {
            let since = unix(time).saturating_sub(LONGEST_LIFE + CLOCK_SKEW + RESTORED_MARGIN);
            self.log.segment_since(since).map_err(ServiceError::internal)
        };
        let mut from = first_of(wall)?;
        loop {
            // Before the part with this run's start every record is of an earlier run.
            let (mut newest, mut before) = (String::new(), None);
            for line in self.log.lines_from(from).map_err(ServiceError::internal)? {
                let line = line.map_err(ServiceError::internal)?;
                if line.seq >= until {
                    break;
                }
                if line.is_start() {
                    before = Some(newest.clone());
                }
                let time = line.time().filter(|time| *time > newest.as_str()).map(str::to_owned);
                newest = time.unwrap_or(newest);
                // Without the name anywhere it is another record: most lines need not be parsed.
                if line.may_be_of(AUTH_REQUEST.name) {
                    nonces.extend(used(&line.json));
                }
            }
            let before = if until == u64::MAX { before.unwrap_or_default() } else { newest };
            before_this_run = before_this_run.max(before);
            let seen = before_this_run.parse::<Timestamp>().ok();
            let needed = match seen {
                Some(seen) => first_of(seen.min(wall))?,
                None => self.log.segment_before(from).map_err(ServiceError::internal)?.unwrap_or(from),
            };
            if needed >= from {
                return Ok((seen, nonces));
            }
            (until, from) = (from, needed);
        }
    }
}

fn unix(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or_default()
}

/// Operator, nonce and expiry of the record of a signed request that was accepted.
fn used(json: &str) -> Option<UsedNonce> {
    let record: serde_json::Value = serde_json::from_str(json).ok()?;
    let text = |pointer: &str| record.pointer(pointer)?.as_str();
    if text("/op") != Some(AUTH_REQUEST.name) || text("/code") != Some("ok") {
        return None;
    }
    let mut nonce = [0; 32];
    hex::decode_to_slice(text("/input/fields/nonce")?.strip_prefix("0x")?, &mut nonce).ok()?;
    Some((text("/actor/eoa")?.parse().ok()?, nonce, record.pointer("/input/fields/expires")?.as_u64()?))
}
