//! The bytes of a record, kept as files: a change of the format shows as a change of these.

use crate::format::encode::{
    aggregate_body, clock_step_body, event_body, intent_body, outcome_body, prefix, records_dropped_body,
    resume_body, start_body, stop_body,
};
use crate::format::merkle::leaf_hash;
use crate::format::record::{
    Actor, BuildInfo, Event, Input, Intent, KeyRef, LocalUser, MAX_BODY_BYTES, MAX_RECORD_BYTES, Outcome,
    RECORD_SCHEMA, Value,
};
use crate::format::time::RecordTime;
use crate::format::view::{RecordRole, View, seq_of_line};
use crate::read::lines::Line;

const TIME: RecordTime = RecordTime { wall_ns: 1_795_629_802_000_000_042, mono_ns: 77 };

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
    let outcome = Outcome {
        code: "ok",
        signature_hash: Some([0xee; 32]),
        micros: 93,
        detail: Some("by \"schedule\"\n".to_owned()),
    };
    let boot = BuildInfo { version: "0.1.0".to_owned(), config_digest: [0x22; 32], installation: None };
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
    let anonymous = Actor::anonymous(Some("[2001:db8::1]:9".parse().unwrap()));
    let local = LocalUser { uid: 998, login: Some("alice".to_owned()), pid: Some(4_711) };
    let user = Actor { local: Some(local), ..Actor::local() };
    vec![
        ("intent-point", intent_body(&intent(Some(Input::Point([0x44; 64]))))),
        ("intent-digest", intent_body(&intent(Some(Input::Digest([0x55; 32]))))),
        ("intent-typed", intent_body(&intent(Some(typed)))),
        ("outcome", outcome_body("outcome", 41, &outcome, None)),
        ("recovered", outcome_body("recovered", 41, &Outcome::unknown(), None)),
        ("event-operator", event_body(&event(operator, Some(fields), "forbidden"))),
        ("event-anonymous", event_body(&event(anonymous, None, "unauthenticated"))),
        ("event-local", event_body(&event(Actor::local(), None, "ok"))),
        ("event-local-user", event_body(&event(user, None, "ok"))),
        ("event-service", event_body(&event(Actor::service(), None, "ok"))),
        (
            "aggregate",
            aggregate_body(
                "scalar_mul",
                "unauthenticated",
                19_900,
                TIME.wall_ns,
                [Some("192.0.2.1:1".parse().unwrap()), Some("192.0.2.9:2".parse().unwrap())],
            ),
        ),
        (
            "start",
            start_body(&boot, &[0x66; 16], &[0x77; 8], "8f0c1d2e-0000-4000-8000-000000000000", 77, 512),
        ),
        ("stop", stop_body()),
        ("resume", resume_body("Input/output error (os error 5)", "seg-00000000000000000000.log", 8192)),
        ("records_dropped", records_dropped_body(12)),
        ("clock_step", clock_step_body(-3_600_250, 77)),
    ]
}

/// `AVS_KMS_BLESS=1` writes the files again.
#[test]
fn each_kind_of_record_has_the_bytes_of_its_golden_example() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, body) in bodies() {
        let mut record = Vec::new();
        prefix(&mut record, 42, TIME);
        record.extend_from_slice(&body);
        let view = View::of(&record).unwrap();
        let mut line = Vec::new();
        view.line(&[0xaa; 32], &mut line);
        assert_eq!(view.hash(&[0xaa; 32]), leaf_hash(&line), "{name}");
        assert_eq!(seq_of_line(&line), Some(42));
        // The process id is the one thing that is not chosen here.
        let record = String::from_utf8(line).unwrap();
        let record = record.replace(&format!("\"pid\":{}", std::process::id()), "\"pid\":1");
        let path = directory.join(format!("record-v2-{name}.json"));
        if std::env::var_os("AVS_KMS_BLESS").is_some() {
            std::fs::write(&path, format!("{record}\n")).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(record, golden.trim_end(), "{name}");
        serde_json::from_str::<serde_json::Value>(&record).unwrap();
        let expected = match name.split('-').next().unwrap() {
            "intent" => RecordRole::Opens,
            "outcome" | "recovered" => RecordRole::Ends(41),
            _ => RecordRole::Neutral,
        };
        assert_eq!((view.seq, view.role()), (42, expected), "{name}");
    }
}

/// Every member that a record has is in the schema, and every member that the schema wants is in
/// the record. That the patterns fit, too, was seen with a full validator; the bytes cannot change
/// without the golden files.
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
        prefix(&mut record, 42, TIME);
        record.extend_from_slice(&body);
        let mut line = Vec::new();
        View::of(&record).unwrap().line(&[0xaa; 32], &mut line);
        let record: Json = serde_json::from_slice(&line).unwrap();
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
fn a_line_of_an_operation_is_recognised_without_parsing_it() {
    for (name, body) in bodies() {
        let mut record = Vec::new();
        prefix(&mut record, 42, TIME);
        record.extend_from_slice(&body);
        let json = String::from_utf8(record).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let is_of = value["op"] == "scalar_mul";
        assert_eq!(Line { seq: 42, json }.may_be_of("scalar_mul"), is_of, "{name}");
    }
}

/// Members of the schema that nothing writes yet do not keep a record from being read.
#[test]
fn a_record_with_the_reserved_members_is_a_record() {
    let schema: serde_json::Value = serde_json::from_str(RECORD_SCHEMA).unwrap();
    let hash = String::from_utf8(crate::format::json::hash_characters(&[1; 32]).to_vec()).unwrap();
    let store = format!(
        "\"store\":{{\"counter\":7,\"chain_before\":\"{hash}\",\"chain_after\":\"{hash}\",\"root_before\":\"{hash}\",\"root_after\":\"{hash}\"}}"
    );
    let intent = format!(
        "\"kind\":\"intent\",\"op\":\"keys.create\",\"actor\":{{\"kind\":\"local\",\"transport\":\"local\",\"uid\":0,\"login\":\"root\",\"pid\":1}},\"request\":\"req_{}\",\"key\":{{\"eoa\":\"{EOA}\",\"name\":\"a\",\"scheme\":\"S1\",\"iv_policy\":\"random\"}},\"exclusive\":{{\"scope\":\"a\",\"id\":\"b\"}},{store}}}",
        "11".repeat(16)
    );
    let outcome = format!("\"kind\":\"outcome\",\"intent\":41,\"code\":\"ok\",\"micros\":1,{store}}}");
    let start = "\"kind\":\"start\",\"installation\":\"a\",\"replica\":\"b\"}".to_owned();
    for (part, body, role) in [
        ("intent", intent, RecordRole::Opens),
        ("outcome", outcome, RecordRole::Ends(41)),
        ("start", start, RecordRole::Neutral),
    ] {
        let mut record = Vec::new();
        prefix(&mut record, 42, TIME);
        record.extend_from_slice(body.as_bytes());
        assert_eq!(View::of(&record).unwrap().role(), role);
        let value: serde_json::Value = serde_json::from_slice(&record).unwrap();
        let top = schema["properties"].as_object().unwrap();
        let own = schema["$defs"][part]["properties"].as_object().unwrap();
        for member in value.as_object().unwrap().keys() {
            assert!(top.contains_key(member) || own.contains_key(member), "{part}: {member}");
        }
        for nested in ["actor", "key", "exclusive", "store"].into_iter().filter(|it| value.get(it).is_some())
        {
            let known = schema["$defs"][nested]["properties"].as_object().unwrap();
            assert!(value[nested].as_object().unwrap().keys().all(|it| known.contains_key(it)), "{nested}");
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
        prefix(&mut record, 0, RecordTime { wall_ns: seconds * 1_000_000_000, mono_ns: 0 });
        let record = String::from_utf8(record).unwrap();
        assert!(record.contains(&format!("\"time\":\"{text}.000000Z\"")), "{record}");
    }
}

#[test]
fn no_text_makes_a_record_larger_than_four_kib() {
    let detail = Some("\u{1}".repeat(9_000));
    let body = outcome_body("outcome", 0, &Outcome { detail, ..Outcome::ok(1) }, None);
    let mut record = Vec::new();
    prefix(&mut record, u64::MAX, RecordTime { wall_ns: u64::MAX, mono_ns: u64::MAX });
    assert!(record.len() <= MAX_RECORD_BYTES - MAX_BODY_BYTES, "{}", record.len());
    record.extend_from_slice(&body);
    assert!(record.len() <= MAX_RECORD_BYTES, "{}", record.len());
}
