//! The objects of a file: tables, indices, views and triggers. Only those that this program makes are accepted.
//!
//! A table without its constraints holds a row twice, a view need not end, and a trigger changes what others write. So
//! they are compared before anything is read from a table. Not for: the rows (`store::authentic`).

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::store::error::StoreError;

/// The most of a name that a refusal shows, characters.
const MOST_SHOWN: usize = 64;

/// Type, name, table, SQL.
type Object = (String, String, String, Option<String>);

/// Refuses a file whose objects are not those of this schema.
pub(super) fn compare(connection: &Connection, schema: &[&str]) -> Result<(), StoreError> {
    let made = Connection::open_in_memory()?;
    schema.iter().try_for_each(|part| made.execute_batch(part))?;
    let (made, found) = (objects(&made)?, objects(connection)?);
    let Some((kind, name, ..)) = made.symmetric_difference(&found).next() else { return Ok(()) };
    let shown = |text: &str| text.chars().take(MOST_SHOWN).flat_map(char::escape_debug).collect::<String>();
    Err(StoreError::Forged(format!("{} {}", shown(kind), shown(name))))
}

/// Opens a store that may be in use, to read it.
pub(super) fn open_to_read(path: &Path, schema: &[&str]) -> Result<Connection, StoreError> {
    // A pipe would wait for its writer.
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(StoreError::Forged("its file, which is not a regular file,".to_owned()));
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    compare(&connection, schema)?;
    Ok(connection)
}

fn objects(connection: &Connection) -> Result<BTreeSet<Object>, StoreError> {
    let mut statement = connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")?;
    let objects = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(objects.collect::<Result<_, _>>()?)
}
