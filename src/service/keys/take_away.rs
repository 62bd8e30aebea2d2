//! What takes away while service and token are away: the command line records an intent, and the next start carries it
//! out from the record alone, before anything is signed.
//!
//! The log alone vouches for the record: a forged one takes something away, and nothing more. Its
//! hash is marked in the store for ever, so that it is carried out once, whatever is done to the log later. Not for:
//! what gives back (`enable`), or asks the store first: that needs the token.

use audit_log::{Input, Intent, OpenIntent, Receipt, Recordable, Value};
use jiff::Timestamp;

use crate::auth::{AccessTokenId, Subject};
use crate::key::{Eoa, Freeze, IntentRef, KeyName, KeyVersionNumber, LifecycleAction, VersionSelector};
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::operation::{ACCESS_TOKENS_REVOKE, KEYS_DISABLE, SERVICE_FREEZE};
use crate::service::subject::key_ref;
use crate::store::{IntentMark, LifecycleUpdate, Store};

/// The member of the intent that says so, and its value.
const APPLY: (&str, &str) = ("apply", "next_start");

/// What is taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeAway {
    /// A version of a key.
    Disable {
        /// Owner of the key.
        eoa: Eoa,
        /// Name of the key.
        name: KeyName,
        /// The version: a number, the current or the pending one.
        version: VersionSelector,
    },
    /// One access token.
    RevokeOne(AccessTokenId),
    /// Every access token of this subject.
    RevokeAllOf(Subject),
    /// Every key at once.
    Freeze {
        /// Reason, for the store; the record has it too.
        reason: Option<String>,
    },
}

/// A taking away, ready to be recorded.
pub(in crate::service) struct RecordedTakeAway {
    pub(in crate::service) context: Context,
    pub(in crate::service) what: TakeAway,
    pub(in crate::service) reason: Option<String>,
}

impl Recordable for RecordedTakeAway {
    fn intent(&self) -> Intent {
        let mut fields = vec![(APPLY.0, Value::Text(APPLY.1.to_owned()))];
        let (operation, key) = match &self.what {
            TakeAway::Disable { eoa, name, version } => {
                fields.push(("version", Value::Text(version_text(*version))));
                (&KEYS_DISABLE, Some(key_ref(*eoa, name)))
            }
            TakeAway::RevokeOne(id) => {
                fields.push(("token_id", Value::Text(id.to_string())));
                (&ACCESS_TOKENS_REVOKE, None)
            }
            TakeAway::RevokeAllOf(subject) => {
                fields.push(("subject", Value::Text(subject.to_string())));
                (&ACCESS_TOKENS_REVOKE, None)
            }
            TakeAway::Freeze { .. } => (&SERVICE_FREEZE, None),
        };
        fields.extend(self.reason.clone().map(|reason| ("reason", Value::Text(reason))));
        Intent {
            operation: operation.name,
            actor: self.context.actor(),
            request: self.context.request().to_string(),
            key,
            input: Some(Input::Fields(fields)),
        }
    }
}

impl TakeAway {
    /// What an intent of an earlier run takes away, if it is to be carried out now.
    pub(in crate::service) fn of(intent: &OpenIntent) -> Option<Self> {
        let field = |name: &str| intent.text(&format!("/input/fields/{name}"));
        if field(APPLY.0) != Some(APPLY.1) {
            return None;
        }
        if intent.operation == KEYS_DISABLE.name {
            return Some(Self::Disable {
                eoa: intent.text("/key/eoa")?.parse().ok()?,
                name: intent.text("/key/name")?.parse().ok()?,
                version: version_of(field("version")?)?,
            });
        }
        if intent.operation == SERVICE_FREEZE.name {
            return Some(Self::Freeze { reason: field("reason").map(str::to_owned) });
        }
        if intent.operation != ACCESS_TOKENS_REVOKE.name {
            return None;
        }
        match (field("token_id"), field("subject")) {
            (Some(id), None) => Some(Self::RevokeOne(id.parse().ok()?)),
            (None, Some(subject)) => Some(Self::RevokeAllOf(subject.parse().ok()?)),
            _ => None,
        }
    }

    /// Carries it out once, with its mark in one transaction; gives what cannot be done. What a killed start has done
    /// already is done.
    pub(in crate::service) async fn carry_out(
        self,
        store: &Store,
        receipt: &Receipt,
        at: Timestamp,
    ) -> Result<Option<&'static str>, ServiceError> {
        let record = receipt.record_hash;
        if store.is_taken_away(record).await.map_err(ServiceError::internal)? {
            return Ok(None);
        }
        let missing = match self {
            Self::Disable { eoa, name, version } => {
                let found = store.version(&eoa, &name, version);
                let transitions = found.map_err(|_| "there is no such version").and_then(|version| {
                    let life = store.lifecycle(&eoa, &name);
                    let transitions = life.transitions(version.version, LifecycleAction::Disable);
                    transitions.map_err(|_| "a version in this state signs nothing and cannot be disabled")
                });
                let (transitions, missing) = match transitions {
                    Ok(transitions) => (transitions, None),
                    Err(missing) => (Vec::new(), Some(missing)),
                };
                let change = LifecycleUpdate {
                    eoa,
                    name,
                    transitions,
                    intent: intent_ref(receipt),
                    is_take_away: true,
                    at,
                    destroy_at: None,
                    reason: None,
                };
                store.apply(change).await.map_err(ServiceError::internal)?;
                missing
            }
            Self::RevokeOne(id) => {
                let known = store.has_access_token(&id);
                let revoked = store.take_access_tokens_away(move |token| token.id == id, record, at).await;
                revoked.map_err(ServiceError::internal)?;
                (!known).then_some("there is no such access token")
            }
            Self::RevokeAllOf(subject) => {
                let revoked =
                    store.take_access_tokens_away(move |token| token.subject == subject, record, at).await;
                revoked.map_err(ServiceError::internal)?;
                None
            }
            Self::Freeze { reason } => {
                let done = match store.freeze() {
                    Some(_) => store.mark_taken_away(record, at).await,
                    None => {
                        let freeze = Freeze { since: at, reason };
                        store.set_freeze(Some(freeze), IntentMark::TakenAway(record)).await
                    }
                };
                done.map_err(ServiceError::internal)?;
                None
            }
        };
        Ok(missing)
    }
}

/// The intent with this receipt, as a row of the store names it.
pub(in crate::service) fn intent_ref(receipt: &Receipt) -> IntentRef {
    IntentRef { log: *receipt.log.as_bytes(), record: receipt.seq, hash: receipt.record_hash }
}

fn version_text(version: VersionSelector) -> String {
    match version {
        VersionSelector::Current => "current".to_owned(),
        VersionSelector::Next => "next".to_owned(),
        VersionSelector::Number(number) => number.to_string(),
        VersionSelector::ActiveAt(second) => format!("at {second}"),
    }
}

fn version_of(text: &str) -> Option<VersionSelector> {
    match text {
        "current" => Some(VersionSelector::Current),
        "next" => Some(VersionSelector::Next),
        text => Some(VersionSelector::Number(KeyVersionNumber::new(text.parse().ok()?)?)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use audit_log::{AuditLog, BuildInfo, Settings};

    use super::*;
    use crate::auth::Caller;
    use crate::request_id::RequestId;
    use crate::service::context::{LocalProcess, Peer};

    fn context() -> Context {
        let peer = Peer::Local(LocalProcess::this());
        Context::anonymous(RequestId::random().unwrap(), peer).recognised(Caller::local())
    }

    #[tokio::test]
    async fn what_is_recorded_is_read_back_by_the_next_start_and_no_other_intent_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let settings = || Settings::new(directory.path());
        let boot = || BuildInfo { version: String::new(), config_digest: [0; 32], installation: None };
        AuditLog::create(&settings()).unwrap();
        let eoa: Eoa = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().unwrap();
        let name: KeyName = "default".parse().unwrap();
        let disable = |version| TakeAway::Disable { eoa, name: name.clone(), version };
        let all = [
            disable(VersionSelector::Current),
            disable(VersionSelector::Next),
            disable(VersionSelector::Number(KeyVersionNumber::FIRST)),
            TakeAway::RevokeOne(AccessTokenId::random().unwrap()),
            TakeAway::RevokeAllOf(Subject::Eoa(eoa)),
            TakeAway::RevokeAllOf(Subject::Any),
            TakeAway::Freeze { reason: None },
        ];
        let (log, _) = AuditLog::open(settings(), boot()).unwrap();
        for what in all.clone() {
            let recorded = log.record(RecordedTakeAway { context: context(), what, reason: None }).await;
            recorded.unwrap().leave_to_next_start();
        }
        let killed = TakeAwayOfNothing(disable(VersionSelector::Current));
        log.record(killed).await.unwrap().leave_to_next_start();
        log.close().unwrap();
        let (log, open) = AuditLog::open(settings(), boot()).unwrap();
        let read: Vec<_> = open.iter().map(TakeAway::of).collect();
        assert_eq!(read, all.into_iter().map(Some).chain([None]).collect::<Vec<_>>());
        log.close().unwrap();
    }

    /// An intent of the same operation that a killed service leaves.
    struct TakeAwayOfNothing(TakeAway);

    impl Recordable for TakeAwayOfNothing {
        fn intent(&self) -> Intent {
            let what = self.0.clone();
            let intent = RecordedTakeAway { context: context(), what, reason: None }.intent();
            Intent { input: None, ..intent }
        }
    }
}
