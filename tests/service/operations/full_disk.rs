//! A file system that is full: nothing is signed, and disable, revoke and freeze still work and stay.

#[path = "../../../audit-log/tests/log/support/loop_disk.rs"]
mod loop_disk;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use self::loop_disk::{LoopDisk, run};
use crate::support::{EOA, Installation, OTHER_EOA, Running, point, text, until};

const SEGMENT: (&str, &str) = ("AVS_KMS__AUDIT__SEGMENT_BYTES", "1048576");

fn serve(installation: &Installation) -> Running {
    installation.serve_with(|command| {
        command.env(SEGMENT.0, SEGMENT.1);
    })
}

fn sign(service: &Running, token: &str, name: &str) -> (u16, String) {
    let hash = point(&hsm::G1Point::generator());
    let answer =
        service.post("/v1/scalar_mul", Some(token), &json!({"eoa": EOA, "name": name, "hash": hash}));
    let (status, code) = answer.code();
    (status, code.to_owned())
}

/// Takes every byte that is left.
fn fill(file: &Path) {
    let mut file = File::create(file).unwrap();
    for size in [1 << 20, 1 << 16, 1 << 12, 512] {
        let zeros = vec![0; size];
        while file.write_all(&zeros).is_ok() {}
    }
    let _ = file.sync_all();
}

#[test]
fn on_a_full_disk_nothing_is_signed_and_what_takes_away_works_and_stays() {
    let installation = Installation::empty();
    let mut init = installation.command(&["init"]);
    assert!(init.env(SEGMENT.0, SEGMENT.1).output().unwrap().status.success());
    let (data, above) = (installation.data(), installation.data().parent().unwrap().to_owned());
    let Some(disk) = LoopDisk::make(&above) else {
        test_report::skipped("needs root, loop devices and mkfs.ext4 for a disk to fill");
        return;
    };
    let moved = disk.mount.join("var");
    assert!(run("cp", &["-a", data.to_str().unwrap(), moved.to_str().unwrap()]));
    fs::remove_dir_all(&data).unwrap();
    std::os::unix::fs::symlink(&moved, &data).unwrap();

    let token = installation.token_with(EOA, &["keys:create", "keys:rotate", "sign:point"], "1h");
    let leaked = installation.token(EOA);
    let service = serve(&installation);
    let names: Vec<_> = (0..8).map(|n| format!("key-{n}")).collect();
    names.iter().for_each(|name| drop(service.create(&token, EOA, name)));
    service.create(&token, EOA, "signs");
    let filler = disk.mount.join("filler");
    fill(&filler);
    let refused = |service: &Running| sign(service, &token, "signs") == (503, "audit_unavailable".to_owned());
    assert!((0..5_000).any(|_| refused(&service)), "the log took records without end");
    assert!(refused(&service));
    assert_eq!(service.get("/readyz", None).code(), (503, "audit_unavailable"));

    let post = |path: &str, token: &str, body| service.post(path, Some(token), &body);
    for name in &names {
        let answer = post("/v1/keys/disable", &token, json!({"eoa": EOA, "name": name}));
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
    assert_eq!(post("/v1/auth/revoke", &leaked, json!({})).status, 200);
    // What gives waits for space.
    let enable = post("/v1/keys/enable", &token, json!({"eoa": EOA, "name": "key-0"}));
    assert_eq!(enable.code(), (503, "audit_unavailable"), "{enable:?}");
    let create = post("/v1/keys", &token, json!({"eoa": OTHER_EOA}));
    assert_ne!(create.status, 201, "{create:?}");
    let frozen = installation.run(&["freeze", "--reason", "full"]);
    assert!(frozen.status.success(), "{}\n{}", text(&frozen.stderr), service.log());
    assert_eq!(sign(&service, &token, "signs"), (503, "service_frozen".to_owned()));
    service.kill();

    fs::remove_file(&filler).unwrap();
    let service = serve(&installation);
    assert_eq!(sign(&service, &token, "signs"), (503, "service_frozen".to_owned()));
    installation.must(&["unfreeze"]);
    for name in &names {
        assert_eq!(sign(&service, &token, name), (409, "key_disabled".to_owned()), "{name}");
    }
    assert_eq!(sign(&service, &leaked, "signs"), (401, "unauthenticated".to_owned()));
    until("it signs again", || sign(&service, &token, "signs").0 == 200);
    assert_eq!(service.stop(), Some(0));
    for operation in ["service.freeze", "auth.revoke"] {
        let records = installation.records_of(operation);
        let kinds: Vec<_> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["intent", "outcome"], "{operation}: {records:?}");
    }
    installation.must(&["audit", "verify"]);
}
