//! The door of the audit log, as the service uses it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test should panic"
)]

use avs_kms::audit::{
    Actor, AuditError, AuditLog, BootFacts, Event, Input, Intent, KeyRef, Outcome, Recordable, Settings,
};
use avs_kms::key::Eoa;
use avs_kms::request_id::RequestId;

#[derive(Debug)]
struct Multiply(u8);

impl Recordable for Multiply {
    fn intent(&self) -> Intent {
        let eoa = Eoa::new([self.0; 20]);
        Intent {
            operation: "scalar_mul",
            actor: Actor::token(Some(eoa), "tok_1", None),
            request: RequestId::new([self.0; 16]),
            key: Some(KeyRef {
                eoa,
                name: "default".parse().unwrap(),
                version: None,
                id: None,
                public_key_hash: None,
            }),
            input: Some(Input::Point([self.0; 64])),
        }
    }
}

fn boot() -> BootFacts {
    BootFacts { version: "0.1.0".to_owned(), config_digest: [7; 32] }
}

fn fresh() -> (tempfile::TempDir, Settings) {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { segment_bytes: 1 << 20, ..Settings::new(directory.path().join("audit")) };
    AuditLog::create(&settings).unwrap();
    (directory, settings)
}

#[tokio::test]
async fn a_recorded_operation_has_its_intent_and_its_outcome_in_the_log() {
    let (_directory, settings) = fresh();
    let (log, unsettled) = AuditLog::open(settings, boot()).unwrap();
    assert!(unsettled.is_empty());
    let recorded = log.record(Multiply(1)).await.unwrap();
    let receipt = recorded.receipt();
    assert_eq!(receipt.seq, 1);
    assert_eq!(receipt.record_hash, log.head().record_hash);
    let (operation, settlement) = recorded.consume();
    assert_eq!(operation.0, 1);
    let outcome = settlement.settle_durable(Outcome::ok(93)).await.unwrap();
    assert_eq!(outcome.seq, 2);
    log.note(Event {
        operation: "public_key",
        actor: Actor::local(),
        request: None,
        key: None,
        input: None,
        code: "ok",
    });
    assert_eq!(log.close().unwrap().size, 5);
}

#[tokio::test]
async fn a_closed_log_gives_the_operation_back() {
    let (_directory, settings) = fresh();
    let (log, _) = AuditLog::open(settings, boot()).unwrap();
    log.clone().close().unwrap();
    let refused = log.record(Multiply(2)).await.unwrap_err();
    assert_eq!(refused.subject.0, 2);
    assert!(matches!(refused.error, AuditError::Closed));
}

#[test]
fn a_second_create_is_refused() {
    let (_directory, settings) = fresh();
    AuditLog::create(&settings).unwrap_err();
}
