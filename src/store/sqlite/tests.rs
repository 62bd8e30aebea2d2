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
        SqliteBackend::create(&path, key(), &[]).unwrap();
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
    SqliteBackend::create(&path, key(), &[]).unwrap();
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
    SqliteBackend::create(&path, key(), &[]).unwrap();
    assert!(matches!(SqliteBackend::create(&path, key(), &[]), Err(StoreError::Exists)));
}

#[tokio::test]
async fn a_store_of_another_installation_is_refused_though_it_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    SqliteBackend::create(&path, key(), &[]).unwrap();
    let another = Arc::new(StoreKey::of_tests([2; 16]).unwrap());
    let backend = SqliteBackend::new(SqliteFile::open(&path).await.unwrap(), another);
    assert!(matches!(backend.load().await, Err(StoreError::OtherInstallation)));
}

#[tokio::test]
async fn what_failed_leaves_rows_and_head_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    SqliteBackend::create(&path, key(), &[]).unwrap();
    let backend = SqliteBackend::new(SqliteFile::open(&path).await.unwrap(), key());
    backend.load().await.unwrap();
    let mark = |intent| {
        backend.database.run(move |connection, rows| {
            transitions::mark(connection, rows, IntentMark::Applied(intent))?;
            if intent == 2 { Err(StoreError::RowsMissing) } else { Ok(()) }
        })
    };
    mark(1).await.unwrap();
    assert!(mark(2).await.is_err());
    let panicked = backend.database.run(|connection, rows| -> Result<(), StoreError> {
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

/// Behind the check of the objects, as an index that was exchanged for an empty one lets it in.
#[tokio::test]
async fn an_older_genuine_row_beside_the_newest_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    SqliteBackend::create(&path, key(), &[]).unwrap();
    let backend = SqliteBackend::new(SqliteFile::open(&path).await.unwrap(), key());
    backend.load().await.unwrap();
    let freeze = |second| Some(Freeze { since: Timestamp::from_second(second).unwrap(), reason: None });
    backend.set_freeze(freeze(1), IntentMark::Applied(1)).await.unwrap();
    let edit = Connection::open(&path).unwrap();
    edit.execute_batch("CREATE TABLE both AS SELECT * FROM freeze").unwrap();
    backend.set_freeze(freeze(2), IntentMark::Applied(2)).await.unwrap();
    drop(backend);
    edit.execute_batch("INSERT INTO both SELECT * FROM freeze").unwrap();
    for order in ["since", "since DESC"] {
        let connection = Connection::open(&path).unwrap();
        let twice = format!("CREATE TEMP TABLE freeze AS SELECT * FROM both ORDER BY {order}");
        connection.execute_batch(&twice).unwrap();
        let file = SqliteFile(SharedFile::over(connection));
        let refused = SqliteBackend::new(file, key()).load().await;
        assert!(matches!(refused, Err(StoreError::Forged(_))), "{order}: {refused:?}");
    }
}

#[tokio::test]
async fn objects_that_the_program_does_not_make_are_refused_before_a_table_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    let edits = [
        format!(
            "ALTER TABLE store_head RENAME TO x;
             CREATE VIEW store_head AS {endless} SELECT x.* FROM x WHERE (SELECT count(*) FROM n) > 0"
        ),
        "CREATE TRIGGER x AFTER UPDATE ON access_token BEGIN UPDATE key_version SET disabled = 0; END"
            .to_owned(),
        "CREATE TABLE x (a)".to_owned(),
        "CREATE INDEX x ON key_version (state)".to_owned(),
        "DROP INDEX one_active_version".to_owned(),
        "ALTER TABLE freeze ADD COLUMN x BLOB AS (zeroblob(1000000000))".to_owned(),
        "DROP TABLE access_token; CREATE TABLE access_token (id, hash)".to_owned(),
    ];
    for (number, edit) in edits.iter().enumerate() {
        let path = directory.path().join(format!("{number}.sqlite"));
        SqliteBackend::create(&path, key(), &[]).unwrap();
        snapshot(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch(edit).unwrap();
        let refused = SqliteFile::open(&path).await.unwrap_err();
        assert!(matches!(refused, StoreError::Forged(_)), "{edit}: {refused:?}");
        assert!(matches!(snapshot(&path), Err(StoreError::Forged(_))), "{edit}");
        assert!(matches!(newest_change(&path), Err(StoreError::Forged(_))), "{edit}");
    }
}

#[test]
fn a_pipe_in_the_place_of_the_store_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(matches!(snapshot(&path), Err(StoreError::Forged(_))));
    assert!(matches!(newest_change(&path), Err(StoreError::Forged(_))));
}

#[tokio::test]
async fn reservations_are_found_without_a_search_of_all_versions() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    SqliteBackend::create(&path, key(), &[]).unwrap();
    let connection = schema::connect(&path).unwrap();
    let sql = "EXPLAIN QUERY PLAN SELECT * FROM key_version LEFT JOIN binding USING (id) WHERE g1 IS NULL";
    let plan: String = connection.query_row(sql, [], |row| row.get("detail")).unwrap();
    assert!(plan.contains("reserved_version"), "{plan}");
}

#[tokio::test]
async fn ordinary_changes_wait_for_the_reserve_and_what_takes_away_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    SqliteBackend::create(&path, key(), &[]).unwrap();
    let backend = SqliteBackend::new(SqliteFile::open(&path).await.unwrap(), key());
    backend.load().await.unwrap();
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let full = || rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
    backend.database.run(|_, _| Ok(())).await.unwrap();
    // A disk that is full until two steps of the reserve are given up.
    let work = move |connection: &Connection, rows: &mut Rows| {
        transitions::mark(connection, rows, IntentMark::Applied(1))?;
        let count = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if count < 2 { Err(full().into()) } else { Ok(()) }
    };
    backend.database.run_on_full_disk(work).await.unwrap();
    assert!(backend.is_applied(IntentMark::Applied(1)).await.unwrap());
    let reserve = path.with_extension("reserve");
    let whole = 4 << 20;
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), whole - (512 << 10));
    // This disk has space: the next ordinary change takes it back first.
    backend.database.run(|_, _| Ok(())).await.unwrap();
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), whole);
    let never =
        backend.database.run_on_full_disk(move |_, _| -> Result<(), StoreError> { Err(full().into()) });
    assert!(never.await.unwrap_err().is_disk_full(), "it ends when the reserve is used up");
}
