//! The file of the store as one who can write the disk copies it and puts it back.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

/// Everything in the file itself, nothing in its journal.
pub(crate) fn settle(store: &Path) -> Vec<u8> {
    let connection = Connection::open(store).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    fs::read(store).unwrap()
}

/// The content in the place of the file, without its journal.
pub(crate) fn put_back(store: &Path, content: &[u8]) {
    for suffix in ["-wal", "-shm"] {
        let mut path = store.as_os_str().to_owned();
        path.push(suffix);
        let _ = fs::remove_file(path);
    }
    fs::write(store, content).unwrap();
}
