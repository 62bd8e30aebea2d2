//! An intruder who can write `store.sqlite` edits the wrapped records in it: no key is exchanged, none signs that may not.

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::store_file::{put_back, settle};
use crate::support::{EOA, Installation, Running, text};

/// Edits that a start refuses, and what it says.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "a value of 10 MB",
        "PRAGMA ignore_check_constraints = ON;
        INSERT INTO wrapped_record VALUES ('bn254/00000000000000000000000000000000', zeroblob(10000000))",
        "invalid row",
    ),
    (
        "a label of 1 MB",
        "PRAGMA ignore_check_constraints = ON;
        INSERT INTO wrapped_record VALUES (hex(zeroblob(500000)), x'00')",
        "invalid row",
    ),
    (
        "1,000,000 rows",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
        INSERT INTO wrapped_record SELECT printf('bn254/%032x', i), x'41565341' FROM n",
        "more rows than",
    ),
    ("no canary record", "DELETE FROM wrapped_record WHERE label = 'bn254-canary/1'", "0 canary records"),
    ("no store key", "DELETE FROM wrapped_record WHERE label = 'store-key/1'", "store key"),
    (
        "the canary record in the place of the store key",
        "UPDATE wrapped_record SET value = (SELECT value
        FROM wrapped_record WHERE label = 'bn254-canary/1') WHERE label = 'store-key/1'",
        "store key",
    ),
    (
        "a key in the place of the store key",
        "UPDATE wrapped_record SET value = (SELECT value FROM wrapped_record
        WHERE label LIKE 'bn254/%' LIMIT 1) WHERE label = 'store-key/1'",
        "store key",
    ),
    (
        "a torn canary record",
        "UPDATE wrapped_record SET value = substr(value, 1, 100)
        WHERE label = 'bn254-canary/1'",
        "canary",
    ),
    ("nothing at all", "DELETE FROM wrapped_record", "0 canary records"),
    (
        "another table in its place",
        "DROP TABLE wrapped_record;
        CREATE TABLE wrapped_record (label, value)",
        "wrapped_record",
    ),
];

/// Edits that take the named keys away, and none other.
const TAKEN: &[(&str, &str, &[&str])] = &[
    ("a record deleted", "DELETE FROM wrapped_record WHERE label = $ONE", &["one"]),
    ("a torn record", "UPDATE wrapped_record SET value = substr(value, 1, 200) WHERE label = $ONE", &["one"]),
    ("an edited record", "UPDATE wrapped_record SET value = unhex(hex(substr(value, 1, 100)) || '00' || hex(substr(value, 102)))
        WHERE label = $ONE", &["one"]),
    ("two records swapped", "CREATE TEMP TABLE old AS SELECT * FROM wrapped_record;
        UPDATE wrapped_record SET value = (SELECT value FROM old WHERE label IN ($ONE, $TWO)
        AND label <> wrapped_record.label) WHERE label IN ($ONE, $TWO)", &["one", "two"]),
    ("one record copied over another", "UPDATE wrapped_record SET value = (SELECT value FROM wrapped_record
        WHERE label = $TWO) WHERE label = $ONE", &["one"]),
    ("a record of another installation", "ATTACH '$OTHER' AS other; UPDATE wrapped_record SET value = (SELECT value
        FROM other.wrapped_record WHERE label LIKE 'bn254/%' LIMIT 1) WHERE label = $ONE", &["one"]),
    ("a copy under another label", "INSERT INTO wrapped_record SELECT 'bn254/00000000000000000000000000000000', value
        FROM wrapped_record WHERE label = $ONE", &[]),
    ("a wrong label", "INSERT INTO wrapped_record SELECT 'anything', value FROM wrapped_record
        WHERE label = $ONE", &[]),
];

fn apply(store: &Path, edit: &str) {
    Connection::open(store).unwrap().execute_batch(edit).unwrap();
}

fn sign(service: &Running, token: &str, name: &str) -> Answer {
    let body = json!({"eoa": EOA, "name": name, "digest": format!("0x{}", "07".repeat(32))});
    service.post("/v1/sign/digest", Some(token), &body)
}

/// The label of the record of a key's first version, as SQL.
fn label(store: &Path, name: &str) -> String {
    let store = Connection::open(store).unwrap();
    let sql = "SELECT 'bn254/' || lower(hex(id)) FROM key_version WHERE name = ?1";
    format!("'{}'", store.query_row(sql, [name], |row| row.get::<_, String>(0)).unwrap())
}

#[test]
fn edits_of_the_wrapped_records_take_keys_away_and_exchange_none() {
    let (installation, other) = (Installation::in_store(), Installation::in_store());
    other.must(&["keys", "create", "--eoa", EOA]);
    settle(&other.data().join("store.sqlite"));
    let token = installation.token(EOA);
    let service = installation.serve();
    let names = ["one", "two", "three"];
    names.iter().for_each(|name| drop(service.create(&token, EOA, name)));
    let expected: Vec<Value> =
        names.iter().map(|name| sign(&service, &token, name).body["signature"].clone()).collect();
    assert_eq!(service.stop(), Some(0));
    let store = installation.data().join("store.sqlite");
    let good = settle(&store);
    for (what, edit, why) in REFUSED {
        put_back(&store, &good);
        apply(&store, edit);
        let refused = installation.run(&["serve"]);
        let said = text(&refused.stderr);
        assert!(!refused.status.success() && said.contains(why), "{what}: {said}");
        assert!(!said.contains("listening") && !said.contains("panicked"), "{what}: {said}");
        assert!(said.len() < 10_000, "{what}: it says {} bytes", said.len());
    }
    let [one, two] = ["one", "two"].map(|name| {
        put_back(&store, &good);
        label(&store, name)
    });
    let other = other.data().join("store.sqlite");
    for (what, edit, taken) in TAKEN {
        put_back(&store, &good);
        let edit = edit.replace("$ONE", &one).replace("$TWO", &two);
        apply(&store, &edit.replace("$OTHER", other.to_str().unwrap()));
        let service = installation.serve();
        for (name, expected) in names.iter().zip(&expected) {
            let answer = sign(&service, &token, name);
            match taken.contains(name) {
                true => assert_eq!(answer.status, 500, "{what}: {name}: {answer:?}"),
                false => assert_eq!(&answer.body["signature"], expected, "{what}: {name}: {answer:?}"),
            }
        }
        assert_eq!(service.stop(), Some(0), "{what}");
    }
    put_back(&store, &good);
    let service = installation.serve();
    assert_eq!(&sign(&service, &token, "one").body["signature"], &expected[0], "untouched, it serves again");
}

#[test]
fn a_canary_record_in_both_places_is_refused() {
    let (installation, other) = (Installation::new(), Installation::in_store());
    let store = installation.data().join("store.sqlite");
    settle(&other.data().join("store.sqlite"));
    let other = other.data().join("store.sqlite");
    let edit = format!(
        "ATTACH '{}' AS other; INSERT INTO wrapped_record SELECT * FROM other.wrapped_record",
        other.display()
    );
    apply(&store, &edit);
    assert_eq!(
        installation.serve().stop(),
        Some(0),
        "another key-encryption key's records are of no use here"
    );
    apply(&store, "DELETE FROM wrapped_record; INSERT INTO wrapped_record VALUES ('bn254-canary/1', x'00')");
    let refused = installation.run(&["serve"]);
    assert!(text(&refused.stderr).contains("both the token and the store"), "{refused:?}");
    apply(&store, "DELETE FROM wrapped_record");
    assert_eq!(installation.serve().stop(), Some(0));
}
