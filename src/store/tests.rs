#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use super::*;

#[test]
fn a_store_of_every_earlier_version_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    for taken in 0..STEPS.len() {
        let path = directory.path().join(format!("{taken}.sqlite"));
        let connection = Connection::open(&path).unwrap();
        for step in &STEPS[..taken] {
            connection.execute_batch(step).unwrap();
        }
        connection.pragma_update(None, "user_version", i64::try_from(taken).unwrap()).unwrap();
        drop(connection);
        Store::open(&path).unwrap_or_else(|error| panic!("version {taken}: {error}"));
        Store::open(&path).unwrap();
    }
}

#[test]
fn a_store_of_a_newer_program_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    Store::create(&path).unwrap();
    let newer = KNOWN + 1;
    connect(&path).unwrap().pragma_update(None, "user_version", newer).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Schema { .. })));
    let found: i64 =
        connect(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(found, newer);
}

#[test]
fn a_missing_store_is_not_made_by_opening_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    assert!(Store::open(&path).is_err());
    assert!(!path.exists());
}
