//! An intruder who can write `store.sqlite` edits it, while the service is stopped and while it runs: nothing is believed.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::client::Answer;
use crate::support::store_file::{put_back, settle};
use crate::support::wallet::Wallet;
use crate::support::{EOA, Installation, OTHER_EOA, Running, text};

/// An access token that the service never issued; its hash is what an intruder writes into the store.
const FORGED: &str = "kms_0000000000000000000000000000000000000000000000000000000000000000";

/// What an intruder does to the store, in SQL. `$HASH` is the hash of [`FORGED`].
const EDITS: &[(&str, &str)] = &[
    // Access tokens.
    ("a forged token", "INSERT INTO access_token SELECT 'tok_000000000000', $HASH, subject, scopes, networks, keys,
        client_certificate, login, created_at, expires_at, NULL, NULL, mac FROM access_token LIMIT 1"),
    ("the hash of a token", "UPDATE access_token SET hash = $HASH WHERE rowid = 1"),
    ("a token unrevoked", "UPDATE access_token SET revoked_at = NULL"),
    ("a token revoked earlier", "UPDATE access_token SET revoked_at = 5 WHERE revoked_at IS NOT NULL"),
    ("a token of another owner", "UPDATE access_token SET subject = '*' WHERE rowid = 1"),
    ("more scopes", "UPDATE access_token SET scopes = 'keys:read keys:rotate sign:point' WHERE rowid = 1"),
    ("a longer life", "UPDATE access_token SET expires_at = expires_at + 1"),
    ("another birth", "UPDATE access_token SET created_at = created_at - 1"),
    ("more networks", "UPDATE access_token SET networks = '0.0.0.0/0' WHERE rowid = 1"),
    ("more keys", "UPDATE access_token SET keys = '' WHERE keys <> ''"),
    ("no certificate", "UPDATE access_token SET client_certificate = NULL"),
    ("another origin", "UPDATE access_token SET login = 1 - login"),
    ("another id", "UPDATE access_token SET id = 'tok_000000000000' WHERE rowid = 1"),
    ("a token deleted", "DELETE FROM access_token WHERE rowid = 1"),
    ("all tokens deleted", "DELETE FROM access_token"),
    ("the rows of two tokens swapped", "UPDATE access_token SET mac = (SELECT mac FROM access_token AS other
        WHERE other.rowid = 3 - access_token.rowid) WHERE rowid IN (1, 2)"),
    // Versions.
    ("a retired version signs", "UPDATE key_version SET state = 'retiring' WHERE state = 'retired'"),
    ("a retired version is current", "UPDATE key_version SET state = CASE state WHEN 'retired' THEN 'pending'
        ELSE state END, retired_at = NULL"),
    ("a disabled version signs", "UPDATE key_version SET disabled = 0"),
    ("another version is disabled", "UPDATE key_version SET disabled = 1 WHERE name = 'default'"),
    ("a destruction of the current version", "UPDATE key_version SET destroy_at = 1 WHERE state = 'active'"),
    ("a destruction brought forward", "UPDATE key_version SET destroy_at = 1 WHERE destroy_at IS NOT NULL"),
    ("a destruction cancelled", "UPDATE key_version SET destroy_at = NULL"),
    ("a destruction by another record", "UPDATE key_version SET destroy_intent = zeroblob(56)
        WHERE destroy_at IS NOT NULL"),
    ("a destruction by no record", "UPDATE key_version SET destroy_intent = NULL"),
    ("a record that asks for a destruction", "UPDATE key_version SET destroy_intent = (SELECT destroy_intent
        FROM key_version WHERE destroy_intent IS NOT NULL) WHERE name = 'off'"),
    ("a destruction begun", "UPDATE key_version SET state = 'destroyed' WHERE destroy_at IS NOT NULL"),
    ("a destruction confirmed", "UPDATE key_version SET state = 'destroyed', destroyed_at = 5 WHERE name = 'off'"),
    ("a pending version is current", "UPDATE key_version SET state = 'retired' WHERE name = 'two' AND version = 2;
        UPDATE key_version SET state = 'active' WHERE name = 'two' AND version = 1"),
    ("two keys swap names", "UPDATE key_version SET name = 'x' WHERE name = 'default';
        UPDATE key_version SET name = 'default' WHERE name = 'off'; UPDATE key_version SET name = 'off' WHERE name = 'x'"),
    ("a key of another owner", "UPDATE key_version SET eoa = unhex('3C44CdDdB6a900fa2b585dd299e03d12FA4293BC')
        WHERE name = 'off'"),
    ("another number", "UPDATE key_version SET version = 9 WHERE name = 'off'"),
    ("another record", "UPDATE key_version SET id = randomblob(16) WHERE name = 'off'"),
    ("another public key", "UPDATE key_version SET (g1, g2) = (SELECT g1, g2 FROM key_version WHERE name = 'off')"),
    ("another activation", "UPDATE key_version SET activated_at = 5 WHERE state = 'active'"),
    ("another successor", "UPDATE key_version SET superseded_at = 5 WHERE state = 'active'"),
    ("another creation", "UPDATE key_version SET created_at = 5 WHERE name = 'off'"),
    ("another announcement", "UPDATE key_version SET announced_at = 5 WHERE name = 'off'"),
    ("a version deleted", "DELETE FROM key_version WHERE name = 'off'"),
    ("the only trace of a key deleted", "DELETE FROM key_version WHERE name = 'two' AND version = 1"),
    ("a version inserted", "INSERT INTO key_version SELECT randomblob(16), eoa, 'new', version, state, 0, g1, g2,
        created_at, activated_at, superseded_at, NULL, NULL, NULL, NULL, NULL, mac FROM key_version WHERE name = 'off'"),
    ("a version that was never completed", "UPDATE key_version SET g1 = NULL, g2 = NULL WHERE name = 'off'"),
    ("a reservation inserted", "INSERT INTO key_version SELECT randomblob(16), eoa, 'new', version, 'pending', 0, NULL,
        NULL, created_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL, mac FROM key_version WHERE name = 'off'"),
    // Bindings.
    ("a binding", "INSERT INTO binding SELECT id, 1, 'bls_apk_registry', eoa, eoa, NULL, NULL, NULL, NULL
        FROM key_version WHERE name = 'off'"),
    ("another chain", "UPDATE binding SET chain_id = 1"),
    ("another contract", "UPDATE binding SET verifying_contract = zeroblob(20)"),
    ("another operator", "UPDATE binding SET operator = zeroblob(20)"),
    ("a registration", "UPDATE binding SET held = 1, held_since = 5"),
    ("a binding deleted", "DELETE FROM binding"),
    ("a freeze inserted", "INSERT INTO freeze VALUES (1, 5, NULL, zeroblob(32))"),
    // Policies and schedules.
    ("a policy deleted", "DELETE FROM key_policy"),
    ("a wider policy", "UPDATE key_policy SET signing = 'digest point typed', networks = '0.0.0.0/0'"),
    ("no rate", "UPDATE key_policy SET per_minute = NULL"),
    ("a policy of another key", "UPDATE key_policy SET name = 'off'"),
    ("a policy inserted", "INSERT INTO key_policy SELECT eoa, 'off', signing, networks, per_minute, mac FROM key_policy"),
    ("a schedule deleted", "DELETE FROM schedule"),
    ("a schedule of all keys", "UPDATE schedule SET name = '*'"),
    ("a schedule that retires", "UPDATE schedule SET activate = 1, retire_on = 'overlap', every_days = 1"),
    ("a schedule with other days", "UPDATE schedule SET overlap_days = 0, announce_days = 0, jitter_hours = 1"),
    // Used challenges and marks.
    ("a challenge unused", "DELETE FROM used_challenge"),
    ("a challenge used earlier", "UPDATE used_challenge SET expires_at = 5"),
    ("a mark of an intent", "INSERT INTO applied_intent SELECT 999, mac FROM key_version LIMIT 1"),
    ("a mark of a taking away", "INSERT INTO taken_away SELECT zeroblob(32), mac FROM key_version LIMIT 1"),
    // The head.
    ("a counter put back", "UPDATE store_head SET counter = counter - 1"),
    ("another root", "UPDATE store_head SET root = zeroblob(32)"),
    ("another chain of changes", "UPDATE store_head SET chain = zeroblob(32)"),
    ("another MAC of the head", "UPDATE store_head SET mac = zeroblob(32)"),
    ("no head", "DELETE FROM store_head"),
    ("another installation", "UPDATE store_head SET installation = zeroblob(16)"),
    ("no MACs", "UPDATE key_version SET mac = zeroblob(32)"),
    // Tables, views, triggers.
    ("a trigger", "CREATE TRIGGER x AFTER UPDATE ON access_token BEGIN UPDATE key_version SET disabled = 0; END"),
    ("a view in the place of a table", "PRAGMA legacy_alter_table = ON; ALTER TABLE key_version RENAME TO x;
        CREATE VIEW key_version AS SELECT * FROM x"),
    ("a head that is never read to its end", "ALTER TABLE store_head RENAME TO x; CREATE VIEW store_head AS
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
        SELECT x.* FROM x WHERE (SELECT count(*) FROM n) > 0"),
    ("a table without its constraints", "PRAGMA writable_schema = ON; UPDATE sqlite_schema
        SET sql = replace(sql, 'CHECK (disabled IN (0, 1))', '') WHERE name = 'key_version'"),
    ("every version twice", "CREATE TABLE x AS SELECT * FROM key_version; INSERT INTO x SELECT * FROM key_version;
        DROP TABLE key_version; ALTER TABLE x RENAME TO key_version"),
    ("nothing at all", "DELETE FROM access_token; DELETE FROM key_version; DELETE FROM binding; DELETE FROM key_policy;
        DELETE FROM schedule; DELETE FROM used_challenge; DELETE FROM applied_intent"),
];

fn apply(store: &Path, edit: &str) {
    let hash = hex::encode(Sha256::digest(FORGED));
    let connection = Connection::open(store).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection.execute_batch(&edit.replace("$HASH", &format!("unhex('{hash}')"))).unwrap();
}

fn sign(service: &Running, token: &str, name: &str, version: &Value) -> Answer {
    let digest = "0x0101010101010101010101010101010101010101010101010101010101010101";
    let body = json!({"eoa": EOA, "name": name, "version": version, "digest": digest});
    service.post("/v1/sign/digest", Some(token), &body)
}

/// Keys in every state, a policy, a schedule, a binding, access tokens of every kind, a used challenge.
struct Edited {
    installation: Installation,
    token: String,
    revoked: String,
    challenge: Value,
}

impl Edited {
    fn new() -> Self {
        let installation = Installation::new();
        let token = installation.token(EOA);
        let issue = ["access-token", "issue", "--eoa", EOA, "--scope", "sign:digest", "--key", "two"];
        let revoked =
            installation.must(&[issue.as_slice(), &["--client-certificate", &"ab".repeat(32)]].concat());
        let service = installation.serve();
        let run = |arguments: &[&str]| installation.must(&[arguments, &["--eoa", EOA]].concat());
        let binding =
            ["--registry", "bls_apk_registry", "--chain-id", "5", "--verifying-contract", OTHER_EOA];
        run(&[["keys", "create"].as_slice(), &binding].concat());
        for name in ["two", "off", "gone"] {
            run(&["keys", "create", "--name", name]);
        }
        run(&["keys", "rotate", "--name", "two"]);
        run(&["keys", "activate", "--name", "two", "--version", "2"]);
        run(&["keys", "retire", "--yes", "--name", "two", "--version", "1"]);
        run(&["keys", "disable", "--name", "off", "--version", "1"]);
        run(&["keys", "rotate", "--name", "gone"]);
        run(&["keys", "destroy", "--yes", "--name", "gone", "--version", "2"]);
        run(&["keys", "policy", "set", "--allow", "typed", "--per-minute", "9"]);
        run(&["keys", "schedule", "set", "--every-days", "90"]);
        run(&["access-token", "revoke"]);
        let token = {
            drop(token);
            installation.token(EOA)
        };
        let offered = service.post("/v1/auth/challenge", None, &json!({"eoa": EOA})).body;
        let signature = Wallet::of(EOA).typed(&offered["typed_data"]);
        let challenge = json!({"challenge_id": offered["challenge_id"], "signature": signature});
        assert_eq!(service.post("/v1/auth/verify", None, &challenge).status, 200);
        assert_eq!(service.stop(), Some(0));
        Self { installation, token, revoked, challenge }
    }
}

#[test]
fn a_store_that_was_edited_while_the_service_was_stopped_starts_nothing() {
    let edited = Edited::new();
    let store = edited.installation.data().join("store.sqlite");
    let good = settle(&store);
    for (what, edit) in EDITS {
        put_back(&store, &good);
        apply(&store, edit);
        assert!(settle(&store) != good, "{what}: nothing was edited");
        let refused = edited.installation.run(&["serve"]);
        let said = text(&refused.stderr);
        assert!(!refused.status.success() && said.contains("store"), "{what}: {said}");
        assert!(!said.contains("listening") && !said.contains("panicked"), "{what}: {said}");
        // Commands are refused alike: none makes the edit the service's own.
        if what.len() % 5 == 0 {
            let command = edited.installation.run(&["access-token", "revoke", "--eoa", OTHER_EOA]);
            assert!(!command.status.success(), "{what}");
        }
    }
    let found = edited.installation.records_of("store.refused");
    // Without a head there is no installation to open the log for.
    assert!(found.len() + 1 >= EDITS.len(), "{} of {} are in the audit log", found.len(), EDITS.len());
    put_back(&store, &good);
    let service = edited.installation.serve();
    assert_eq!(sign(&service, &edited.token, "two", &json!(2)).status, 200, "untouched, it serves again");
}

/// Each row is genuine, and the newest one is read last: only its constraint keeps the older one out.
#[test]
fn an_older_row_beside_the_newest_one_is_refused() {
    let installation = Installation::new();
    let store = installation.data().join("store.sqlite");
    let token = installation.token(EOA);
    installation.must(&["keys", "create", "--eoa", EOA]);
    let aside = installation.data().join("old.sqlite");
    fs::write(&aside, settle(&store)).unwrap();
    installation.must(&["keys", "disable", "--eoa", EOA, "--version", "1"]);
    let attach = format!(
        "ATTACH '{}' AS old; CREATE TABLE both AS SELECT * FROM old.key_version;
         INSERT INTO both SELECT * FROM key_version; DROP TABLE key_version; ALTER TABLE both RENAME TO key_version",
        aside.display()
    );
    let newest = settle(&store);
    apply(&store, &attach);
    let refused = installation.run(&["serve"]);
    assert!(text(&refused.stderr).contains("changed from outside"), "{refused:?}");
    assert_eq!(installation.records_of("store.refused").len(), 1);
    put_back(&store, &newest);
    let service = installation.serve();
    assert_eq!(sign(&service, &token, "default", &json!(1)).code(), (409, "key_disabled"));
}

#[test]
fn one_row_put_back_as_it_was_is_refused() {
    let installation = Installation::new();
    let store = installation.data().join("store.sqlite");
    let token = installation.token(EOA);
    installation.must(&["keys", "create", "--eoa", EOA]);
    let old = settle(&store);
    let aside = installation.data().join("old.sqlite");
    fs::write(&aside, old).unwrap();
    installation.must(&["access-token", "revoke", "--eoa", EOA]);
    installation.must(&["keys", "disable", "--eoa", EOA, "--version", "1"]);
    let new = settle(&store);
    for table in ["access_token", "key_version"] {
        put_back(&store, &new);
        let attach =
            format!("ATTACH '{}' AS old; REPLACE INTO {table} SELECT * FROM old.{table}", aside.display());
        apply(&store, &attach);
        let refused = installation.run(&["serve"]);
        assert!(text(&refused.stderr).contains("put back as they were"), "{table}: {refused:?}");
    }
    put_back(&store, &new);
    let service = installation.serve();
    assert_eq!(sign(&service, &token, "default", &json!(1)).code(), (401, "unauthenticated"));
}

#[test]
fn an_older_copy_of_the_whole_store_is_refused_until_it_is_accepted() {
    let installation = Installation::new();
    let store = installation.data().join("store.sqlite");
    let token = installation.token(EOA);
    installation.must(&["keys", "create", "--eoa", EOA]);
    let old = settle(&store);
    installation.must(&["access-token", "revoke", "--eoa", EOA]);
    let new = settle(&store);
    put_back(&store, &old);
    for arguments in [["serve", "--listen=127.0.0.1:0"], ["keys", "list"]] {
        let refused = installation.run(&arguments);
        let said = text(&refused.stderr);
        assert!(!refused.status.success() && said.contains("older copy"), "{arguments:?}: {said}");
    }
    let said = text(&installation.run(&["serve"]).stderr);
    let chain: String = said.split("--accept-store-rollback ").nth(1).unwrap().chars().take(64).collect();
    let other = "0".repeat(64);
    assert!(!installation.run(&["serve", "--accept-store-rollback", &other]).status.success());
    let service = installation.serve_with(|command| {
        command.args(["--accept-store-rollback", &chain]);
    });
    let lost = sign(&service, &token, "default", &json!("current"));
    assert_eq!(lost.status, 200, "as the help says, what was revoked since works again: {lost:?}");
    assert_eq!(service.stop(), Some(0));
    let accepted = installation.records_of("store.rollback_accepted");
    assert_eq!(accepted.len(), 2, "intent and outcome: {accepted:?}");
    assert!(
        accepted[1]["store"]["counter"].as_u64() > accepted[0]["input"]["fields"]["change_given_up"].as_u64()
    );
    // Accepted once: later starts need no word, and what was given up does not come back.
    installation.must(&["keys", "disable", "--eoa", EOA, "--version", "1"]);
    assert_eq!(installation.serve().stop(), Some(0));
    let newest = settle(&store);
    for older in [&old, &new] {
        put_back(&store, older);
        let refused = installation.run(&["serve"]);
        assert!(text(&refused.stderr).contains("older copy"), "{refused:?}");
    }
    put_back(&store, &newest);
    assert_eq!(installation.serve().stop(), Some(0));
}

#[test]
fn an_older_backup_of_the_store_under_the_newest_log_is_refused() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    installation.must(&["keys", "create", "--eoa", EOA]);
    let archive = installation.data().with_file_name("old.tar.zst");
    installation.must(&["backup", archive.to_str().unwrap()]);
    let service = installation.serve();
    assert_eq!(sign(&service, &token, "default", &json!(1)).status, 200);
    installation.must(&["keys", "disable", "--eoa", EOA, "--version", "1"]);
    assert_eq!(sign(&service, &token, "default", &json!(1)).status, 409);
    // As a crash leaves it: the log has no stop record.
    service.kill();
    let restored = installation.data().with_file_name("restored");
    installation.must(&["--data", restored.to_str().unwrap(), "restore", "--yes", archive.to_str().unwrap()]);
    put_back(&installation.data().join("store.sqlite"), &settle(&restored.join("store.sqlite")));
    let refused = installation.run(&["serve"]);
    assert!(text(&refused.stderr).contains("older copy"), "{refused:?}");
}

#[test]
fn the_store_of_another_installation_is_refused() {
    let (one, other) = (Installation::new(), Installation::new());
    let store = one.data().join("store.sqlite");
    put_back(&store, &settle(&other.data().join("store.sqlite")));
    let refused = one.run(&["serve"]);
    assert!(text(&refused.stderr).contains("not of this installation"), "{refused:?}");
}

#[test]
fn an_edit_under_a_running_service_changes_nothing_and_the_next_start_refuses_it() {
    let edited = Edited::new();
    let store = edited.installation.data().join("store.sqlite");
    let service = edited.installation.serve();
    let edits = [
        "a forged token",
        "a token unrevoked",
        "a retired version signs",
        "a disabled version signs",
        "a policy deleted",
        "a destruction brought forward",
        "a challenge unused",
    ];
    for (_, edit) in EDITS.iter().filter(|(what, _)| edits.contains(what)) {
        apply(&store, edit);
    }
    for token in [FORGED, &edited.revoked] {
        let answer = sign(&service, token, "two", &json!(2));
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    for (name, version, status) in [("two", 1, 409), ("off", 1, 409), ("default", 1, 403)] {
        let answer = sign(&service, &edited.token, name, &json!(version));
        assert_eq!(answer.status, status, "{name} {answer:?}");
    }
    let replayed = service.post("/v1/auth/verify", None, &edited.challenge);
    assert_eq!(replayed.code(), (401, "challenge_unknown"), "{replayed:?}");
    assert_eq!(sign(&service, &edited.token, "two", &json!(2)).status, 200);
    assert_eq!(service.stop(), Some(0));
    let refused = edited.installation.run(&["serve"]);
    assert!(text(&refused.stderr).contains("from outside"), "{refused:?}");
}
