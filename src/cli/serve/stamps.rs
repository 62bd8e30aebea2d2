//! The store against the audit log at the start: an older copy of the store is noticed, and accepted on demand alone.

use std::str::FromStr;

use audit_log::{Actor, AuditLog, FoundStamp, Input, Intent, Outcome, Recordable, StoreStamp, Value};

use crate::request_id::RequestId;
use crate::service::operation::STORE_ROLLBACK_ACCEPTED;
use crate::store::{Store, StoreError, StoreHead};

/// A state of the store that is given up: the head of its chain, 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct StoreHeadChain([u8; 32]);

impl FromStr for StoreHeadChain {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut chain = [0; 32];
        hex::decode_to_slice(text, &mut chain)?;
        Ok(Self(chain))
    }
}

/// Compares, and from then on stamps the outcomes of the log with the state of the store.
pub(super) async fn check(
    store: &Store,
    log: &AuditLog,
    accepted: &[StoreHeadChain],
) -> Result<(), StoreError> {
    let verify = store.clone();
    let (reader, is_own) = (log.clone(), move |intent: u64, stamp: &StoreStamp| {
        verify.has_made(intent, &head_of(stamp), &stamp.mac)
    });
    let found = tokio::task::spawn_blocking(move || reader.newest_stamp(is_own)).await?;
    let known = match found.map_err(|error| StoreError::Log(error.to_string()))? {
        FoundStamp::Newest(stamp) => Some(head_of(&stamp)),
        FoundStamp::Never => None,
        FoundStamp::OutOfReach => {
            tracing::warn!("the segments of the audit log that tell the state of the store were moved away");
            Some(store.head())
        }
    };
    let follows = store.check_follows(known).await;
    let stamped = store.clone();
    let stamper = move |intent| {
        let (StoreHead { counter, chain, root }, mac) = stamped.stamp(intent)?;
        Some(StoreStamp { counter, chain, root, mac })
    };
    let Err(error) = follows else {
        log.stamp_outcomes(Box::new(stamper));
        return Ok(());
    };
    let is_accepted = |known: &StoreHead| accepted.contains(&StoreHeadChain(known.chain));
    let known = known.filter(is_accepted).ok_or(error)?;
    log.stamp_outcomes(Box::new(stamper));
    let request = RequestId::random().map_err(|error| StoreError::Log(error.to_string()))?;
    let acceptance = Acceptance { request, found: store.head().counter, known };
    let recorded =
        log.record(acceptance).await.map_err(|refused| StoreError::Log(refused.error.to_string()))?;
    let (_, outcome) = recorded.consume();
    store.continue_after(known.counter).await?;
    let outcome = outcome.record_outcome_durable(Outcome::ok(0)).await;
    outcome.map(drop).map_err(|error| StoreError::Log(error.to_string()))
}

/// What an operator gives up by going on from an older copy.
struct Acceptance {
    request: RequestId,
    found: u64,
    known: StoreHead,
}

impl Recordable for Acceptance {
    fn intent(&self) -> Intent {
        Intent {
            operation: STORE_ROLLBACK_ACCEPTED.name,
            actor: Actor::local(),
            request: self.request.to_string(),
            key: None,
            input: Some(Input::Fields(vec![
                ("change_found", Value::Number(self.found)),
                ("change_given_up", Value::Number(self.known.counter)),
                ("chain_given_up", Value::Bytes(self.known.chain.to_vec())),
            ])),
        }
    }
}

const fn head_of(stamp: &StoreStamp) -> StoreHead {
    StoreHead { counter: stamp.counter, chain: stamp.chain, root: stamp.root }
}
