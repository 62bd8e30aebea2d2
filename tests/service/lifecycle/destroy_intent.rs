//! A version is destroyed only if its row names the audit record that asked for it, and the log has no other there.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::with_store::with_store;
use crate::support::{EOA, Installation, Running, until};

/// A key whose second version is scheduled for destruction.
fn scheduled() -> Installation {
    let installation = Installation::new();
    installation.must(&["keys", "create", "--eoa", EOA]);
    installation.must(&["keys", "rotate", "--eoa", EOA]);
    installation.must(&["keys", "destroy", "--yes", "--version", "2", "--eoa", EOA]);
    installation
}

fn serve(installation: &Installation) -> Running {
    installation.serve_with(|command| {
        command
            .env("AVS_KMS__ROTATION__CHECK_INTERVAL", "100ms")
            .env("AVS_KMS__ROTATION__OBSERVATION_TIME", "1ms");
    })
}

fn states(installation: &Installation) -> Vec<String> {
    let shown = installation.must(&["--json", "keys", "show", "--eoa", EOA]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["versions"].as_array().unwrap().iter().map(|v| v["state"].as_str().unwrap().to_owned()).collect()
}

fn said(service: &Running, text: &str) {
    let mut log = service.start.clone();
    until(text, || {
        log.push_str(&service.log());
        log.contains(text)
    });
}

#[test]
fn what_no_record_asked_for_is_not_destroyed_until_it_is_asked_for_again() {
    for (by, why) in [
        ("by another record", "that record is another one"),
        ("by a later record", "the log ends before that record"),
        ("by no record", "its row names no record"),
    ] {
        let installation = scheduled();
        with_store(&installation.data(), "destruction is due", by);
        let service = serve(&installation);
        said(&service, why);
        assert_eq!(service.stop(), Some(0));
        assert_eq!(states(&installation), ["destroy_scheduled", "active"], "{by}");
        assert!(installation.records_of("keys.destroy_due").is_empty(), "{by}");

        installation.must(&["keys", "restore", "--version", "2", "--eoa", EOA]);
        installation.must(&["keys", "destroy", "--yes", "--version", "2", "--eoa", EOA]);
        with_store(&installation.data(), "destruction is due", "");
        let service = serve(&installation);
        said(&service, "scheduled change");
        assert_eq!(service.stop(), Some(0));
        assert_eq!(states(&installation), ["destroyed", "active"], "{by}");
    }
}

#[test]
fn a_record_whose_segment_was_moved_away_is_believed() {
    let installation = Installation::new();
    installation.must(&["keys", "create", "--eoa", EOA]);
    installation.must(&["keys", "rotate", "--eoa", EOA]);
    let audit = installation.data().join("audit");
    let segments = || {
        let names = audit.read_dir().unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<PathBuf> =
            names.filter(|path| path.extension().is_some_and(|it| it == "log")).collect();
        names.sort();
        names
    };
    installation.must(&["keys", "destroy", "--yes", "--version", "2", "--eoa", EOA]);
    let token = installation.token(EOA);
    let service = serve(&installation);
    let body = serde_json::json!({"eoa": EOA, "digest": "07".repeat(32)});
    let mut count = 0;
    while segments().len() < 3 {
        assert_eq!(service.post("/v1/sign/digest", Some(&token), &body).status, 200);
        count += 1;
        assert!(count < 20_000, "segments do not fill");
    }
    assert_eq!(service.stop(), Some(0));
    std::fs::remove_file(&segments()[0]).unwrap();
    with_store(&installation.data(), "destruction is due", "");
    let service = serve(&installation);
    said(&service, "scheduled change");
    assert_eq!(service.stop(), Some(0));
    assert_eq!(states(&installation), ["destroyed", "active"]);
}
