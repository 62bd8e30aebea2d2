#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test should panic")]

use super::*;
use crate::store::backend_tests::suite;

fn key() -> Arc<StoreKey> {
    Arc::new(StoreKey::of_tests([1; 16]).unwrap())
}

#[tokio::test]
async fn sqlite_passes_the_tests_of_every_back_end() {
    let directory = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    suite(|| {
        count.set(count.get() + 1);
        let path = directory.path().join(format!("{}.sqlite", count.get()));
        SqliteBackend::create(&path, key()).unwrap();
        async move || {
            let file = SqliteFile::open(&path).await.unwrap();
            let backend: Box<dyn Backend> = Box::new(SqliteBackend::new(file, key()));
            backend
        }
    })
    .await;
}

#[tokio::test]
async fn a_store_of_another_schema_version_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    SqliteBackend::create(&path, key()).unwrap();
    // 4 was avs-kms 0.1.
    for found in [0, 4, schema::VERSION + 1] {
        schema::connect(&path).unwrap().pragma_update(None, "user_version", found).unwrap();
        let refused = SqliteFile::open(&path).await.unwrap_err();
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
    assert!(SqliteFile::open(&path).await.is_err());
    assert!(!path.exists());
}

#[test]
fn an_existing_store_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    SqliteBackend::create(&path, key()).unwrap();
    assert!(matches!(SqliteBackend::create(&path, key()), Err(StoreError::Exists)));
}

#[tokio::test]
async fn a_store_of_another_installation_is_refused_though_it_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    SqliteBackend::create(&path, key()).unwrap();
    let another = Arc::new(StoreKey::of_tests([2; 16]).unwrap());
    let backend = SqliteBackend::new(SqliteFile::open(&path).await.unwrap(), another);
    assert!(matches!(backend.load().await, Err(StoreError::OtherInstallation)));
}

#[tokio::test]
async fn what_failed_leaves_rows_and_head_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    SqliteBackend::create(&path, key()).unwrap();
    let backend = SqliteBackend::new(SqliteFile::open(&path).await.unwrap(), key());
    backend.load().await.unwrap();
    let mark = |intent| {
        backend.run(move |connection, rows| {
            transitions::mark(connection, rows, IntentMark::Applied(intent))?;
            if intent == 2 { Err(StoreError::RowsMissing) } else { Ok(()) }
        })
    };
    mark(1).await.unwrap();
    assert!(mark(2).await.is_err());
    let panicked = backend.run(|connection, rows| -> Result<(), StoreError> {
        transitions::mark(connection, rows, IntentMark::Applied(3))?;
        panic!("on purpose")
    });
    assert!(matches!(panicked.await, Err(StoreError::Task(_))));
    mark(4).await.unwrap();
    for (intent, applied) in [(1, true), (2, false), (3, false), (4, true)] {
        assert_eq!(backend.is_applied(IntentMark::Applied(intent)).await.unwrap(), applied, "{intent}");
    }
    SqliteBackend::new(SqliteFile::open(&path).await.unwrap(), key()).load().await.unwrap();
}
