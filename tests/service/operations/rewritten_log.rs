//! A log whose owner deleted what vouches for it: the service signs it only after that is accepted by name.

use std::fs;
use std::path::PathBuf;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use serde_json::{Value, json};

use crate::support::{EOA, Installation, MODULE, OTHER_EOA, Running, process, text, until};

/// What a thief with the PIN does to the anchor.
#[test]
#[ignore = "child process of another test"]
fn delete_the_anchor() {
    let Some(file) = std::env::var_os("PIN_FILE").map(PathBuf::from) else { return };
    let pin = fs::read_to_string(&file).unwrap().trim().to_owned();
    let module = Pkcs11::new(MODULE).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let session = module.open_rw_session(module.get_slots_with_initialized_token().unwrap()[0]).unwrap();
    session.login(UserType::User, Some(&pin.into())).unwrap();
    let anchors = session.find_objects(&[Attribute::Label(b"audit-anchor/1".to_vec())]).unwrap();
    assert!(!anchors.is_empty(), "init or a start has stored one");
    anchors.into_iter().for_each(|anchor| session.destroy_object(anchor).unwrap());
}

fn without_anchor(installation: &Installation) {
    let mut child = process::child(module_path!(), "delete_the_anchor");
    let data = installation.data();
    child.env("SOFTHSM2_CONF", data.join("token/softhsm2.conf")).env("PIN_FILE", data.join("pin"));
    process::run_child(&mut child);
}

fn delete_checkpoints(installation: &Installation) {
    for name in ["checkpoint", "hashes"] {
        let _ = fs::remove_file(installation.data().join("audit").join(name));
    }
}

fn refusal(installation: &Installation, arguments: &[&str]) -> String {
    let output = installation.run(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_log_with_neither_checkpoint_nor_anchor_is_not_signed() {
    let installation = Installation::new();
    installation.serve().stop();
    // With the anchor alone the log is compared.
    delete_checkpoints(&installation);
    installation.serve().stop();
    delete_checkpoints(&installation);
    without_anchor(&installation);
    let said = refusal(&installation, &["serve"]);
    assert!(said.contains("nothing vouches for") && said.contains("--accept-audit-rollback 0:"), "{said}");
    assert!(!installation.data().join("audit/checkpoint").exists(), "it was signed: {said}");
    let accepted = said.split("--accept-audit-rollback ").nth(1).unwrap().split('`').next().unwrap();
    let service = installation.serve_with(|command| {
        command.args(["--accept-audit-rollback", accepted]);
    });
    assert_eq!(service.stop(), Some(0));
    assert_eq!(installation.records_of("audit.rollback_accepted").len(), 1);
    assert_eq!(installation.serve().stop(), Some(0));
}

#[test]
fn an_older_checkpoint_without_the_anchor_is_a_finding_of_serve_and_doctor() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let doctor = || {
        let output = installation.run(&["--json", "doctor"]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = found["checks"].as_array().unwrap();
        let what = "the audit log is the one that the token and the checkpoints know";
        let check = checks.iter().find(|check| check["what"] == what).unwrap();
        (check["passed"] == true, output.status.code(), check["found"].to_string())
    };
    let service = installation.serve();
    service.create(&token, EOA, "default");
    assert_eq!(service.stop(), Some(0));
    assert!(doctor().0, "{:?}", doctor());
    let log = installation.data().join("audit");
    let old = installation.data().with_file_name("old");
    let copy = |from: &PathBuf, to: &PathBuf| {
        assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    };
    copy(&log, &old);
    let service = installation.serve();
    service.create(&token, EOA, "after");
    service.stop();
    fs::remove_dir_all(&log).unwrap();
    copy(&old, &log);
    let (passed, status, found) = doctor();
    assert!(!passed && status == Some(3) && found.contains("the token has a checkpoint of"), "{found}");
    without_anchor(&installation);
    let (passed, status, found) = doctor();
    assert!(!passed && status == Some(3) && found.contains("the token holds no checkpoint"), "{found}");
    let said = refusal(&installation, &["serve"]);
    assert!(said.contains("the token holds no checkpoint of the audit log"), "{said}");
    let accepted = said.split("--accept-audit-rollback ").nth(1).unwrap().split('`').next().unwrap();
    let service = installation.serve_with(|command| {
        command.args(["--accept-audit-rollback", accepted]);
    });
    assert_eq!(service.stop(), Some(0));
    assert!(doctor().0, "{:?}", doctor());
}

#[test]
fn a_copy_on_another_disk_is_compared_at_start_and_by_verify() {
    let installation = Installation::new();
    let copy = installation.data().with_extension("copy");
    let path = copy.to_str().unwrap().to_owned();
    let serve = || {
        installation.serve_with(|command| {
            command.env("AVS_KMS__AUDIT__CHECKPOINT_FILE", &path);
        })
    };
    let verify = || {
        let mut command = installation.command(&["audit", "verify"]);
        let output = process::output(command.env("AVS_KMS__AUDIT__CHECKPOINT_FILE", &path));
        (output.status.code(), text(&[output.stdout, output.stderr].concat()))
    };
    let (status, said) = verify();
    assert!(status == Some(3) && said.contains("missing: the copy of the checkpoint"), "{status:?}: {said}");
    serve().stop();
    let (status, said) = verify();
    assert!(status == Some(0) && said.contains(&format!("the copy {path}")), "{status:?}: {said}");
    // The directory alone is put back, and the anchor is gone.
    let log = installation.data().join("audit");
    let old = installation.data().join("old");
    assert!(std::process::Command::new("cp").arg("-a").arg(&log).arg(&old).status().unwrap().success());
    serve().stop();
    fs::remove_dir_all(&log).unwrap();
    fs::rename(&old, &log).unwrap();
    without_anchor(&installation);
    let (status, said) = verify();
    assert!(status == Some(1) && said.contains("damaged"), "{status:?}: {said}");
    let mut command = installation.command(&["serve"]);
    let output = process::output(command.env("AVS_KMS__AUDIT__CHECKPOINT_FILE", &path));
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains(&path), "{said}");
}

#[test]
fn a_place_that_takes_no_checkpoint_makes_the_service_unready_until_it_does() {
    let installation = Installation::new();
    let copy = installation.data().with_extension("copy");
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__AUDIT__CHECKPOINT_FILE", &copy).env("AVS_KMS__AUDIT__CHECKPOINT_TIMEOUT", "1s");
    });
    until("the first checkpoint", || copy.exists());
    assert_eq!(service.get("/readyz", None).status, 200);
    // No file can take the place of a directory that is not empty.
    fs::remove_file(&copy).unwrap();
    fs::create_dir(&copy).unwrap();
    fs::write(copy.join("file"), "").unwrap();
    let _ = installation.token(OTHER_EOA);
    until("the service is unready", || service.get("/readyz", None).code() == (503, "audit_unavailable"));
    until("the metric counts it", || {
        super::metrics::scrape(service.health.unwrap()).contains("avs_kms_audit_stuck_sinks 1")
    });
    // The others have the newest checkpoint, and signing continues.
    let token = installation.token(EOA);
    service.create(&token, EOA, "default");
    until("the API has the checkpoint", || {
        service.get("/v1/audit/checkpoint", None).body["size"].as_u64() > Some(3)
    });
    fs::remove_dir_all(&copy).unwrap();
    until("the service is ready again", || service.get("/readyz", None).status == 200);
    assert!(copy.is_file());
    assert_eq!(service.stop(), Some(0));
}

/// The response once the checkpoint covers the record.
fn proof(service: &Running, seq: u64) -> Value {
    let mut answer = None;
    until("a proof", || {
        let got = service.get(&format!("/v1/audit/proof?seq={seq}"), None);
        let proven = got.status == 200;
        answer = Some(got.body);
        proven
    });
    answer.unwrap()
}

#[test]
fn a_receipt_proves_of_the_signature_what_its_records_say_and_no_more() {
    let installation = Installation::new();
    let token =
        installation.token_with(EOA, &["keys:create", "sign:digest", "sign:point", "audit:read"], "1h");
    let other = installation.token(OTHER_EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let other_g2 = service.create(&other, OTHER_EOA, "default")["g2"].clone();
    assert!(other_g2["x"].is_array(), "{other_g2}");
    let signed =
        service.post("/v1/sign/digest", Some(&token), &json!({"eoa": EOA, "digest": "07".repeat(32)})).body;
    let seq = signed["audit"]["seq"].as_u64().unwrap();
    let mut found = None;
    until("the outcome", || {
        let page = service.get(&format!("/v1/audit?after={}", seq - 1), Some(&token));
        let records = page.body["records"].as_array().unwrap();
        let outcome = records.iter().find(|record| record["intent"] == seq).cloned();
        found = outcome.map(|outcome| outcome["seq"].as_u64().unwrap()).map(|outcome| (page.raw, outcome));
        found.is_some()
    });
    let (page, outcome) = found.unwrap();
    let proofs = [proof(&service, seq), proof(&service, outcome)];
    let key = service.get("/v1/audit/checkpoint", None).body["public_key"].as_str().unwrap().to_owned();
    let point = service.post("/v1/scalar_mul", Some(&token), &json!({"eoa": EOA, "hash": signed["g1"]})).body;
    let point_seq = point["audit"]["seq"].as_u64().unwrap();
    let point_page = service.get(&format!("/v1/audit?after={}", point_seq - 1), Some(&token));
    let point_proof = proof(&service, point_seq);
    service.stop();

    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = place.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let [intent_proof, outcome_proof] = ["1", "2"].map(|n| place.path().join(n).to_str().unwrap().to_owned());
    fs::write(&intent_proof, proofs[0].to_string()).unwrap();
    fs::write(&outcome_proof, proofs[1].to_string()).unwrap();
    let (key, records) = (file("key", &key), file("records", &page));
    let verify = |answer: &Value, more: &[&str]| {
        let answer = file("answer", &answer.to_string());
        let fixed = ["--json", "audit", "verify-receipt", "--answer", &answer, "--public-key", &key];
        let output = installation.run(&[&fixed[..], more].concat());
        let said = text(&output.stderr);
        match output.status.code() {
            Some(0) => Ok(serde_json::from_slice::<Value>(&output.stdout).unwrap()["proven"].clone()),
            _ => Err(said),
        }
    };
    let (alone, with_record) = (["--proof", &intent_proof], ["--proof", &intent_proof, "--record", &records]);
    let whole = [&with_record[..], &["--proof", &outcome_proof]].concat();
    assert_eq!(verify(&signed, &alone), Ok(json!("record")));
    assert_eq!(verify(&signed, &with_record), Ok(json!("request")));
    assert_eq!(verify(&signed, &whole), Ok(json!("signature")));
    let point_files = (file("point-proof", &point_proof.to_string()), file("point-page", &point_page.raw));
    let of_point = ["--proof", &point_files.0, "--record", &point_files.1];
    assert_eq!(verify(&point, &of_point), Ok(json!("request")));

    // Whatever is changed in the answer is found, where its record was given.
    let forged = |change: &dyn Fn(&mut Value)| {
        let mut answer = signed.clone();
        change(&mut answer);
        answer
    };
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Value));
    let changes: [Change<'_>; 14] = [
        ("EOA", &|answer| answer["eoa"] = json!(OTHER_EOA)),
        ("name", &|answer| answer["name"] = json!("other")),
        ("version", &|answer| answer["version"] = json!(2)),
        ("operator id", &|answer| answer["operator_id"] = json!(format!("0x{}", "11".repeat(32)))),
        ("public key", &|answer| answer["g1"] = answer["signature"].clone()),
        ("public key", &|answer| answer["g2"] = other_g2.clone()),
        ("public key", &|answer| answer["g2"]["x"] = json!("0x11")),
        ("key data", &|answer| answer["key_data"] = json!(format!("0x{}", "11".repeat(192)))),
        ("evm", &|answer| {
            answer["evm"]["pubkey_registration_params"][2] = json!([other_g2["x"], other_g2["y"]])
        }),
        ("evm", &|answer| answer["evm"]["other"] = json!(1)),
        ("digest", &|answer| answer["digest"] = json!(format!("0x{}", "08".repeat(32)))),
        ("hash", &|answer| answer["hash"] = answer["g1"].clone()),
        ("signature", &|answer| answer["signature"] = answer["g1"].clone()),
        ("signature", &|answer| answer["signature_bytes"] = json!(format!("0x{}", "11".repeat(64)))),
    ];
    for (what, change) in changes {
        let said = verify(&forged(change), &whole).unwrap_err();
        assert!(said.contains("does not fit its record") && said.contains(what), "{what}: {said}");
    }
    let both = forged(&|answer| {
        answer["signature"] = answer["g1"].clone();
        let coordinate =
            |name: &str| answer["g1"][name].as_str().unwrap().trim_start_matches("0x").to_owned();
        answer["signature_bytes"] = json!(format!("0x{}{}", coordinate("x"), coordinate("y")));
        answer["evm"]["pubkey_registration_params"][0] = json!([answer["g1"]["x"], answer["g1"]["y"]]);
    });
    assert!(verify(&both, &whole).unwrap_err().contains("the hash of the signature"));
    // Another record, or a changed one, does not have the hash of the receipt.
    let said = verify(&signed, &["--proof", &intent_proof, "--record", &point_files.1]).unwrap_err();
    assert!(said.contains("byte for byte"), "{said}");
}
