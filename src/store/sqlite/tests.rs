#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test should panic")]

use super::*;
use crate::store::backend_tests::suite;

#[tokio::test]
async fn sqlite_passes_the_tests_of_every_back_end() {
    let directory = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    suite(|| {
        count.set(count.get() + 1);
        let path = directory.path().join(format!("{}.sqlite", count.get()));
        SqliteBackend::create(&path).unwrap();
        async move || {
            let backend: Box<dyn Backend> = Box::new(SqliteBackend::open(&path).await.unwrap());
            backend
        }
    })
    .await;
}

#[tokio::test]
async fn a_store_of_another_schema_version_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    SqliteBackend::create(&path).unwrap();
    // 4 was avs-kms 0.1.
    for found in [0, 4, schema::VERSION + 1] {
        schema::connect(&path).unwrap().pragma_update(None, "user_version", found).unwrap();
        let refused = SqliteBackend::open(&path).await.unwrap_err();
        assert!(matches!(refused, StoreError::Schema { .. }), "{refused:?}");
        assert!(refused.to_string().contains(&format!("schema version {found}")), "{refused}");
        let kept: i64 = schema::connect(&path)
            .unwrap()
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(kept, found);
    }
}

#[tokio::test]
async fn a_missing_store_is_not_made_by_opening_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    assert!(SqliteBackend::open(&path).await.is_err());
    assert!(!path.exists());
}

#[test]
fn an_existing_store_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    SqliteBackend::create(&path).unwrap();
    assert!(matches!(SqliteBackend::create(&path), Err(StoreError::Exists)));
}
