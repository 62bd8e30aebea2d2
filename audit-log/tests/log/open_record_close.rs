//! The door of the audit log, as the service uses it.

use audit_log::{Actor, AuditError, AuditLog, Event, Input, Intent, KeyRef, Outcome, Recordable, Settings};

use crate::support::kit::{self, Multiply, boot};
use crate::support::signer::publishing;

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

/// As the service records it: the account of the token is the owner of the key; the key is named by version and hash.
struct Signature(u8);

impl Recordable for Signature {
    fn intent(&self) -> Intent {
        let eoa = kit::eoa(self.0);
        Intent {
            operation: "scalar_mul",
            actor: Actor::token(
                Some(eoa.clone()),
                "tok_0123456789abcdef01234567",
                Some("127.0.0.1:50000".parse().unwrap()),
            ),
            request: kit::request(self.0),
            key: Some(KeyRef {
                eoa,
                name: "default".to_owned(),
                version: Some(1),
                id: None,
                public_key_hash: Some([self.0; 32]),
            }),
            input: Some(Input::Point([self.0; 64])),
        }
    }
}

/// Intent, outcome, stored hashes and everything around them, where four signatures are made at a time: as small as
/// batches are with 8 to 16 connections.
#[test]
fn a_signature_takes_at_most_one_kilobyte_of_log() {
    const ROUNDS: u64 = 500;
    let (_directory, settings) = fresh();
    let directory = settings.directory.clone();
    let (log, _) = AuditLog::open(Settings { segment_bytes: 1 << 23, ..settings }, boot()).unwrap();
    log.publish(publishing(1)).unwrap();
    kit::runtime().block_on(async {
        for _ in 0..ROUNDS {
            let four = (0..4).map(|n| Box::pin(log.record(Signature(n)))).collect();
            for recorded in kit::futures_all(four).await {
                let outcome = Outcome { signature_hash: Some([9; 32]), ..Outcome::ok(100) };
                recorded.unwrap().consume().1.record_outcome(outcome);
            }
        }
    });
    log.close().unwrap();
    let mut used = std::fs::metadata(directory.join("hashes")).unwrap().len();
    for entry in std::fs::read_dir(&directory).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("seg-") {
            // What is written of the segment: its zeros belong to later records.
            let bytes = std::fs::read(entry.path()).unwrap();
            used += bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
        }
    }
    let each = used / (4 * ROUNDS);
    println!("{each} bytes of log for each signature");
    assert!(each <= 1_000, "{each} bytes for each signature");
}
