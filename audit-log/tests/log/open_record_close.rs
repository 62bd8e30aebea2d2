//! The door of the audit log, as the service uses it.

use audit_log::{Actor, AuditError, AuditLog, Event, Outcome, Settings};

use crate::support::kit::{Multiply, boot};

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
    let outcome = settlement.record_outcome_durable(Outcome::ok(93)).await.unwrap();
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
