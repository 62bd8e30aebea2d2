//! A service whose wrapped records are in the store: the whole life of a key, backup and restore, kills while it makes
//! keys.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::client::post;
use crate::support::with_store::with_store;
use crate::support::{EOA, Installation, Running, process, text, until};

fn doctor(installation: &Installation) -> Value {
    let output = installation.run(&["--json", "doctor"]);
    // 3: it warns of this host.
    assert!([Some(0), Some(3)].contains(&output.status.code()), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn signature(service: &Running, token: &str, name: &str) -> Value {
    let body = json!({"eoa": EOA, "name": name, "digest": format!("0x{}", "07".repeat(32))});
    let answer = service.post("/v1/sign/digest", Some(token), &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["signature"].clone()
}

fn records(data: &Path) -> i64 {
    let store = Connection::open(data.join("store.sqlite")).unwrap();
    store.query_row("SELECT count(*) FROM wrapped_record", [], |row| row.get(0)).unwrap()
}

/// Objects of the token: token.object, key-encryption key, both halves of the checkpoint key, anchor.
fn objects(data: &Path) -> usize {
    let token = fs::read_dir(data.join("token/tokens")).unwrap().next().unwrap().unwrap().path();
    let names = fs::read_dir(token).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_str().unwrap().ends_with(".object")).count()
}

#[test]
fn a_key_lives_in_the_store_through_restarts_and_a_restore() {
    let installation = Installation::in_store();
    let (data, token) = (installation.data(), installation.token(EOA));
    let service = installation.serve();
    let names = ["one", "two", "three"];
    names.iter().for_each(|name| drop(service.create(&token, EOA, name)));
    let expected = names.map(|name| signature(&service, &token, name));
    // Canary, store key, three keys; and nothing of them in the token.
    assert_eq!((records(&data), objects(&data)), (5, 5));
    let archive = data.with_file_name("kms.tar.zst");
    installation.must(&["backup", archive.to_str().unwrap()]);
    assert_eq!(service.stop(), Some(0));

    let examined = doctor(&installation);
    assert_eq!((&examined["location"], &examined["keys"]), (&json!("store"), &json!(3)));
    let service = installation.serve();
    assert_eq!(names.map(|name| signature(&service, &token, name)), expected);
    assert_eq!(service.stop(), Some(0));
    // The settings can demand the place, and refuse it.
    let mut serve = installation.command(&["serve"]);
    let refused = process::output(serve.env("AVS_KMS__KEYS__LOCATION", "token"));
    assert!(text(&refused.stderr).contains("in the store, which keys.location"), "{refused:?}");

    let other = Installation::empty();
    other.must(&["restore", "--yes", archive.to_str().unwrap()]);
    fs::copy(data.join("pin"), other.data().join("pin")).unwrap();
    let service = other.serve_with(|command| {
        command.env("AVS_KMS__KEYS__LOCATION", "store");
    });
    assert_eq!(names.map(|name| signature(&service, &token, name)), expected);
}

#[test]
fn a_destroyed_record_leaves_no_copy_in_the_files_and_one_that_is_put_back_does_not_sign() {
    let installation = Installation::in_store();
    let data = installation.data();
    let store = data.join("store.sqlite");
    for arguments in
        [&["keys", "create"][..], &["keys", "rotate"], &["keys", "destroy", "--yes", "--version", "2"]]
    {
        installation.must(&[arguments, &["--eoa", EOA]].concat());
    }
    let (label, value): (String, Vec<u8>) = {
        let store = Connection::open(&store).unwrap();
        let sql = "SELECT label, value FROM wrapped_record WHERE label LIKE 'bn254/%'
                   AND unhex(substr(label, 7)) IN (SELECT id FROM key_version WHERE version = 2)";
        store.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    with_store(&data, "destruction is due", "");
    let serve = || {
        installation.serve_with(|command| {
            command
                .env("AVS_KMS__ROTATION__CHECK_INTERVAL", "100ms")
                .env("AVS_KMS__ROTATION__OBSERVATION_TIME", "1ms");
        })
    };
    let service = serve();
    until("the record is gone", || records(&data) == 3);
    assert_eq!(service.stop(), Some(0));
    // The part that is sealed, and not the header, which the log names too.
    let sealed = &value[value.len() - 80..value.len() - 32];
    for name in ["store.sqlite", "store.sqlite-wal"] {
        let bytes = fs::read(data.join(name)).unwrap_or_default();
        assert!(!bytes.windows(sealed.len()).any(|window| window == sealed), "a copy is in {name}");
    }
    let put_back = Connection::open(&store).unwrap();
    put_back.execute("INSERT INTO wrapped_record VALUES (?1, ?2)", (&label, &value)).unwrap();
    drop(put_back);
    let token = installation.token_with(EOA, &["keys:read", "sign:digest"], "1h");
    let service = serve();
    assert!(service.start.contains("there again"), "{}", service.start);
    let body = json!({"eoa": EOA, "version": 2, "digest": format!("0x{}", "07".repeat(32))});
    assert_eq!(service.post("/v1/sign/digest", Some(&token), &body).code(), (409, "key_destroyed"));
}

#[test]
fn kills_while_keys_are_made_lose_none_that_was_answered() {
    let installation = Installation::in_store();
    let token = installation.token(EOA);
    let mut made: Vec<(String, Value)> = Vec::new();
    for round in 0..6_u64 {
        let service = installation.serve();
        for (name, expected) in &made {
            assert_eq!(&signature(&service, &token, name), expected, "{name} in round {round}");
        }
        assert!(!service.start.contains("does not hold"), "{}", service.start);
        let address = service.address;
        let answered = std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut answered = Vec::new();
                // All rounds together stay below the quota of one EOA.
                for number in 0..15 {
                    let name = format!("key-{round}-{number}");
                    let answer = post(address, "/v1/keys", &token, &json!({"eoa": EOA, "name": name}));
                    if answer.is_none_or(|answer| answer.status != 201) {
                        break;
                    }
                    answered.push(name);
                }
                answered
            });
            std::thread::sleep(Duration::from_millis(10 + 23 * round));
            service.kill();
            client.join().unwrap()
        });
        let service = installation.serve();
        made.extend(answered.into_iter().map(|name| {
            let signature = signature(&service, &token, &name);
            (name, signature)
        }));
        assert_eq!(service.stop(), Some(0));
    }
    let examined = doctor(&installation);
    let listed = {
        let store = Connection::open(installation.data().join("store.sqlite")).unwrap();
        store
            .query_row("SELECT count(*) FROM key_version WHERE g1 IS NOT NULL", [], |row| {
                row.get::<_, i64>(0)
            })
            .unwrap()
    };
    assert_eq!(examined["keys"], json!(listed), "every record is a key's, and every key has one");
    assert!(listed as usize >= made.len());
}
