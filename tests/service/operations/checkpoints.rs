//! The audit log from outside: checkpoints, proofs, pages, receipts.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{EOA, Installation, OTHER_EOA, Running, bytes, text};

/// A page whose records keep their bytes.
#[derive(serde::Deserialize)]
struct RawPage<'a> {
    #[serde(borrow)]
    records: Vec<&'a serde_json::value::RawValue>,
}

/// The newest checkpoint, once it covers this many records.
fn checkpoint_of(service: &Running, size: u64) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = service.get("/v1/audit/checkpoint", None);
        if answer.status == 200 && answer.body["size"].as_u64().unwrap() >= size {
            return answer.body;
        }
        assert!(Instant::now() < deadline, "no checkpoint of {size} records: {answer:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_receipt_is_proven_offline_against_a_checkpoint_that_the_token_signed() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let early = checkpoint_of(&service, 1);
    let body = json!({"eoa": EOA, "digest": "07".repeat(32)});
    let signed = service.post("/v1/sign/digest", Some(&token), &body);
    let seq = signed.body["audit"]["seq"].as_u64().unwrap();
    let late = checkpoint_of(&service, seq + 1);
    assert_eq!(late["public_key"], early["public_key"]);
    let proof = service.get(&format!("/v1/audit/proof?seq={seq}"), None);
    assert_eq!(proof.body["record_hash"], signed.body["audit"]["record_hash"]);
    let consistent =
        service.get(&format!("/v1/audit/proof?from={}&to={}", early["size"], late["size"]), None);
    assert_eq!((&consistent.body["from_root"], &consistent.body["to_root"]), (&early["root"], &late["root"]));
    assert_eq!(service.stop(), Some(0));

    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = place.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = file("key", late["public_key"].as_str().unwrap());
    let answer = file("answer", &signed.body.to_string());
    let proof_file = file("proof", &proof.body.to_string());
    let checkpoint = file("checkpoint", &early.to_string());
    let verify =
        ["audit", "verify-receipt", "--answer", &answer, "--proof", &proof_file, "--public-key", &key];
    installation.must(&verify);
    installation.must(&["audit", "verify", "--checkpoint", &checkpoint, "--public-key", &key]);

    let mut forged = signed.body;
    forged["audit"]["record_hash"] = json!(format!("0x{}", "00".repeat(32)));
    fs::write(&answer, forged.to_string()).unwrap();
    assert_eq!(installation.run(&verify).status.code(), Some(1), "a forged receipt was proven");
}

/// An installation whose audit log was put back to what it was before the last run, its checkpoint included; the newest
/// checkpoint comes with it.
fn rolled_back() -> (Installation, Vec<u8>) {
    let installation = Installation::new();
    installation.serve().stop();
    let (log, old) = (installation.data().join("audit"), installation.data().join("old"));
    fs::create_dir(&old).unwrap();
    for entry in fs::read_dir(&log).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), old.join(entry.file_name())).unwrap();
    }
    let service = installation.serve();
    let token = installation.token(EOA);
    service.create(&token, EOA, "default");
    service.stop();
    let newest = fs::read(log.join("checkpoint")).unwrap();
    fs::remove_dir_all(&log).unwrap();
    fs::rename(&old, &log).unwrap();
    (installation, newest)
}

/// The sentence of a start that is refused.
fn refusal(installation: &Installation, more: &[&str]) -> String {
    let mut arguments = vec!["serve"];
    arguments.extend(more);
    let output = installation.run(&arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// The past that the refusal offers to give up.
fn offered(said: &str) -> String {
    said.split("--accept-audit-rollback ").nth(1).unwrap().split('`').next().unwrap().to_owned()
}

#[test]
fn a_log_that_was_rolled_back_behind_its_checkpoint_is_refused() {
    let (installation, newest) = rolled_back();
    fs::write(installation.data().join("audit/checkpoint"), newest).unwrap();
    let said = refusal(&installation, &[]);
    assert!(said.contains("rolled back") && said.contains("the directory of the log has"), "{said}");
}

#[test]
fn a_disk_that_was_rolled_back_whole_is_noticed_by_the_token_until_that_is_accepted_by_name() {
    let (installation, _) = rolled_back();
    let said = refusal(&installation, &[]);
    assert!(said.contains("rolled back") && said.contains("the token has a checkpoint of"), "{said}");
    let past = offered(&said);
    let other = past.replace(':', "0:");
    let again = refusal(&installation, &["--accept-audit-rollback", &other]);
    assert_eq!(offered(&again), past, "another past than the accepted one");

    let service = installation.serve_with(|command| {
        command.args(["--accept-audit-rollback", &past]);
    });
    assert_eq!(service.stop(), Some(0));
    let accepted = installation.records_of("audit.rollback_accepted");
    let [record] = &accepted[..] else { panic!("{accepted:?}") };
    let fields = &record["input"]["fields"];
    let root = fields["root"].as_str().unwrap().trim_start_matches("0x");
    assert_eq!(format!("{}:{root}", fields["size"]), past, "{record}");
    assert_eq!((&record["actor"]["kind"], &fields["kept_by"]), (&json!("local"), &json!("the token")));
    // Accepted once and for all: the token keeps the new past from now on.
    assert_eq!(installation.serve().stop(), Some(0));
}

#[test]
fn another_log_beside_the_same_token_is_not_taken_for_the_one_that_the_token_knows() {
    let (installation, _) = rolled_back();
    let other = Installation::new();
    let log = installation.data().join("audit");
    fs::remove_dir_all(&log).unwrap();
    fs::rename(other.data().join("audit"), &log).unwrap();
    let said = refusal(&installation, &[]);
    assert!(
        said.contains("was replaced") && said.contains("the directory of the log has a checkpoint"),
        "{said}"
    );
    // Also without the checkpoint that came with it.
    fs::remove_file(log.join("checkpoint")).unwrap();
    let said = refusal(&installation, &[]);
    assert!(said.contains("was replaced") && said.contains("the token has a checkpoint of"), "{said}");
}

#[test]
fn pages_hold_the_callers_own_records_byte_for_byte() {
    let installation = Installation::new();
    let (token, other) = (installation.token(EOA), installation.token(OTHER_EOA));
    let reader = installation.token_with(EOA, &["audit:read"], "1h");
    let service = installation.serve();
    service.create(&token, EOA, "mine");
    service.create(&other, OTHER_EOA, "theirs");
    let body = json!({"eoa": EOA, "name": "mine", "digest": "07".repeat(32)});
    let signed = service.post("/v1/sign/digest", Some(&token), &body);
    assert_eq!(service.get("/v1/audit", Some(&token)).code(), (403, "forbidden"));
    assert_eq!(service.get("/v1/audit", None).code(), (401, "unauthenticated"));
    let page = service.get("/v1/audit?after=0&limit=1000", Some(&reader));
    let records = page.body["records"].as_array().unwrap();
    assert!(records.iter().any(|record| record["op"] == "keys.create" && record["key"]["name"] == "mine"));
    assert!(!page.body.to_string().contains("theirs"), "{page:?}");
    // The hash of what was answered is the hash in the receipt.
    let raw: RawPage<'_> = serde_json::from_str(&page.raw).unwrap();
    let seq = format!("\"seq\":{},", signed.body["audit"]["seq"]);
    let record = raw.records.iter().find(|record| record.get().contains(&seq)).unwrap().get();
    let hash: [u8; 32] = Sha256::digest([&[0], record.as_bytes()].concat()).into();
    assert_eq!(hash, bytes::<32>(&signed.body["audit"]["record_hash"]), "{record}");
    let mut seen = 0;
    let mut after = 0;
    loop {
        let page = service.get(&format!("/v1/audit?after={after}&limit=1"), Some(&reader)).body;
        seen += page["records"].as_array().unwrap().len();
        if page["next"] == after {
            break;
        }
        after = page["next"].as_u64().unwrap();
        assert!(seen < 100_000, "the pages never end");
    }
    assert!(seen >= records.len(), "{seen} of {}", records.len());
    for wrong in ["after=x", "limit=0", "limit=1001", "after=1&after=2", "colour=1", "after=-1"] {
        assert_eq!(
            service.get(&format!("/v1/audit?{wrong}"), Some(&reader)).code(),
            (400, "invalid_request"),
            "{wrong}"
        );
    }
    for wrong in ["", "seq=1&from=1&to=2", "from=1", "from=2&to=1", "seq=a"] {
        assert_eq!(
            service.get(&format!("/v1/audit/proof?{wrong}"), None).code(),
            (400, "invalid_request"),
            "{wrong}"
        );
    }
    assert_eq!(service.get("/v1/audit/proof?seq=999999", None).code(), (404, "not_found"));
}

#[test]
fn the_trail_of_one_key_can_be_exported() {
    let installation = Installation::new();
    for name in ["a", "b"] {
        installation.must(&["keys", "create", "--eoa", EOA, "--name", name]);
    }
    let lines = installation.must(&["audit", "export", "--eoa", EOA, "--name", "b"]);
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains("\"name\":\"b\"") && !lines.contains("\"name\":\"a\""));
}

/// A webhook that takes everything; the bodies that it was sent.
fn webhook() -> (String, std::sync::mpsc::Receiver<Value>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/head?key=s3cr3t", listener.local_addr().unwrap());
    let (send, bodies) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut bytes) = (stream.unwrap(), Vec::new());
            let body = loop {
                let mut chunk = [0; 4096];
                let count = stream.read(&mut chunk).unwrap();
                bytes.extend_from_slice(&chunk[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let body = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
                if let Some(body) = body {
                    break body;
                }
            };
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
            if send.send(body).is_err() {
                return;
            }
        }
    });
    (url, bodies)
}

#[test]
fn the_webhook_gets_a_checkpoint_at_start_and_the_last_one_at_the_end() {
    let installation = Installation::new();
    let (url, bodies) = webhook();
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__AUDIT__CHECKPOINT_WEBHOOK_URL", &url);
    });
    let first = bodies.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(first["public_key"], checkpoint_of(&service, 1)["public_key"]);
    assert!(!service.start.contains("s3cr3t"), "{}", service.start);
    assert_eq!(service.stop(), Some(0));
    let last = bodies.try_iter().last().expect("the last checkpoint came before the process ended");
    let note = fs::read_to_string(installation.data().join("audit/checkpoint")).unwrap();
    assert_eq!(last["checkpoint"], note);
    assert!(last["size"].as_u64() > first["size"].as_u64());
    installation.must(&["audit", "verify"]);
}

#[test]
fn a_webhook_that_is_away_harms_nothing() {
    let installation = Installation::new();
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__AUDIT__CHECKPOINT_WEBHOOK_URL", "http://127.0.0.1:9/?key=s3cr3t");
    });
    let (mut log, begun) = (service.start.clone(), Instant::now());
    while !log.contains("did not take the audit checkpoint") {
        assert!(begun.elapsed() < Duration::from_secs(20), "{log}");
        std::thread::sleep(Duration::from_millis(50));
        log.push_str(&service.log());
    }
    checkpoint_of(&service, 1);
    assert!(!log.contains("s3cr3t"), "{log}");
    assert_eq!(service.stop(), Some(0));
}
