//! The bytes of a record, kept as files: a change of the format shows as a change of these.

use crate::format::encode::{
    OutcomeLabels, aggregate_body, clock_step_body, event_body, intent_body, lost_body, outcome_body, prefix,
    resume_body, start_body, stop_body,
};
use crate::format::record::{
    Actor, BuildInfo, Event, Input, Intent, KeyRef, MAX_BODY_BYTES, MAX_RECORD_BYTES, Outcome, RECORD_SCHEMA,
    Value,
};
use crate::format::time::RecordTime;
use crate::format::view::{RecordRole, View};

const STAMP: RecordTime = RecordTime { wall_ns: 1_795_629_802_000_000_042, mono_ns: 77 };

const EOA: &str = "0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB";

fn key() -> KeyRef {
    KeyRef {
        eoa: EOA.to_owned(),
        name: "set-7".to_owned(),
        version: Some(3),
        id: Some("00112233445566778899aabbccddeeff".to_owned()),
        public_key_hash: Some([0xcd; 32]),
    }
}

fn actor() -> Actor {
    Actor::token(Some(EOA.to_owned()), "tok_5", Some("192.0.2.1:4711".parse().unwrap()))
}

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let (operation, request) = ("scalar_mul", format!("req_{}", "11".repeat(16)));
    let intent =
        |input| Intent { operation, actor: actor(), request: request.clone(), key: Some(key()), input };
    let event = |actor, input, code| Event { operation, actor, request: None, key: None, input, code };
    let labels = OutcomeLabels { operation, request: Some(&request), eoa: Some(EOA) };
    let outcome = Outcome {
        code: "ok",
        signature_hash: Some([0xee; 32]),
        micros: 93,
        detail: Some("by \"schedule\"\n".to_owned()),
    };
    let boot = BuildInfo { version: "0.1.0".to_owned(), config_digest: [0x22; 32] };
    let typed = Input::Typed {
        kind: "bls_apk_registry",
        digest: [0x33; 32],
        fields: vec![
            ("chain_id", Value::Number(1)),
            ("verifying_contract", Value::Text("0x0".to_owned())),
            ("salt", Value::Bytes(vec![1, 2])),
        ],
    };
    let fields = Input::Fields(vec![("ttl_seconds", Value::Number(60))]);
    let operator = Actor::operator(EOA.to_owned(), None);
    let stranger = Actor::anonymous(Some("[2001:db8::1]:9".parse().unwrap()));
    vec![
        ("intent-point", intent_body(&intent(Some(Input::Point([0x44; 64]))))),
        ("intent-digest", intent_body(&intent(Some(Input::Digest([0x55; 32]))))),
        ("intent-typed", intent_body(&intent(Some(typed)))),
        ("outcome", outcome_body("outcome", 41, &labels, &outcome)),
        ("recovered", outcome_body("recovered", 41, &labels, &Outcome::unknown())),
        ("event-operator", event_body(&event(operator, Some(fields), "forbidden"))),
        ("event-stranger", event_body(&event(stranger, None, "unauthenticated"))),
        ("event-local", event_body(&event(Actor::local(), None, "ok"))),
        ("event-service", event_body(&event(Actor::service(), None, "ok"))),
        (
            "aggregate",
            aggregate_body(
                "scalar_mul",
                "unauthenticated",
                19_900,
                STAMP.wall_ns,
                [Some("192.0.2.1:1".parse().unwrap()), Some("192.0.2.9:2".parse().unwrap())],
            ),
        ),
        ("start", start_body(&boot, &[0x66; 16], "8f0c1d2e-0000-4000-8000-000000000000", 512)),
        ("stop", stop_body()),
        ("resume", resume_body("Input/output error (os error 5)", "seg-00000000000000000000.log", 8192)),
        ("lost", lost_body(12)),
        ("clock_step", clock_step_body(-3_600_250)),
    ]
}

/// `AVS_KMS_BLESS=1` writes the files anew.
#[test]
fn each_kind_of_record_has_the_bytes_of_its_golden_example() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, body) in bodies() {
        let mut record = Vec::new();
        prefix(&mut record, 42, &[0xaa; 32], STAMP, &[0x77; 8]);
        record.extend_from_slice(&body);
        // The process id is the one thing that is not chosen here.
        let record = String::from_utf8(record).unwrap();
        let record = record.replace(&format!("\"pid\":{}", std::process::id()), "\"pid\":1");
        let path = directory.join(format!("record-v1-{name}.json"));
        if std::env::var_os("AVS_KMS_BLESS").is_some() {
            std::fs::write(&path, format!("{record}\n")).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(record, golden.trim_end(), "{name}");
        serde_json::from_str::<serde_json::Value>(&record).unwrap();
        let view = View::of(record.as_bytes()).unwrap();
        let expected = match name.split('-').next().unwrap() {
            "intent" => RecordRole::Opens,
            "outcome" | "recovered" => RecordRole::Ends(41),
            _ => RecordRole::Neutral,
        };
        assert_eq!((view.seq, view.role()), (42, expected), "{name}");
    }
}

/// Every member that a record has is in the schema, and every member that the schema wants is in the record. That the
/// patterns fit, too, was seen with a full validator; the bytes cannot change without the golden files.
#[test]
fn each_golden_example_has_the_members_of_the_schema() {
    type Json = serde_json::Value;
    let schema: Json = serde_json::from_str(RECORD_SCHEMA).unwrap();
    let members = |part: &Json| part["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let required = |part: &Json| {
        part["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for (name, body) in bodies() {
        let mut record = Vec::new();
        prefix(&mut record, 42, &[0xaa; 32], STAMP, &[0x77; 8]);
        record.extend_from_slice(&body);
        let record: Json = serde_json::from_slice(&record).unwrap();
        let kind = record["kind"].as_str().unwrap().replace("recovered", "outcome");
        let definition = &schema["$defs"][&kind];
        assert!(schema["oneOf"].to_string().contains(&format!("#/$defs/{kind}\"")), "{name}");
        let known = [members(&schema), members(definition)].concat();
        let has: Vec<_> = record.as_object().unwrap().keys().cloned().collect();
        assert!(has.iter().all(|member| known.contains(member)), "{name}: {has:?}, {known:?}");
        let wanted = [required(&schema), required(definition)].concat();
        assert!(wanted.iter().all(|member| has.contains(member)), "{name}: {wanted:?}");
        for part in ["actor", "key", "input"].into_iter().filter(|part| record.get(part).is_some()) {
            let known = members(&schema["$defs"][part]);
            assert!(record[part].as_object().unwrap().keys().all(|member| known.contains(member)), "{name}");
        }
    }
}

#[test]
fn times_are_right_around_leap_days_and_centuries() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00"),
        (951_782_400, "2000-02-29T00:00:00"),
        (1_709_251_199, "2024-02-29T23:59:59"),
        (4_107_542_400, "2100-03-01T00:00:00"),
    ] {
        let mut record = Vec::new();
        prefix(
            &mut record,
            0,
            &[0; 32],
            RecordTime { wall_ns: seconds * 1_000_000_000, mono_ns: 0 },
            &[0; 8],
        );
        let record = String::from_utf8(record).unwrap();
        assert!(record.contains(&format!("\"time\":\"{text}.000000000Z\"")), "{record}");
    }
}

#[test]
fn no_text_makes_a_record_larger_than_four_kib() {
    let detail = Some("\u{1}".repeat(9_000));
    let labels = OutcomeLabels { operation: "scalar_mul", request: None, eoa: None };
    let body = outcome_body("outcome", 0, &labels, &Outcome { detail, ..Outcome::ok(1) });
    let mut record = Vec::new();
    prefix(&mut record, u64::MAX, &[0; 32], RecordTime { wall_ns: u64::MAX, mono_ns: u64::MAX }, &[0; 8]);
    assert!(record.len() <= MAX_RECORD_BYTES - MAX_BODY_BYTES, "{}", record.len());
    record.extend_from_slice(&body);
    assert!(record.len() <= MAX_RECORD_BYTES, "{}", record.len());
}
