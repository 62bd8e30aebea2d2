//! One connection with the rows as they were verified or written last: they change with the file, or not at all.

use rusqlite::Connection;

use super::schema;
use crate::store::authentic::Rows;
use crate::store::error::StoreError;

/// A connection, and its rows.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) connection: Connection,
    pub(super) rows: Rows,
}

impl Verified {
    /// Runs one transaction, which moves the head on if a row changed.
    pub(super) fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Rows) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Self { connection, rows } = self;
        rows.undo(); // what a panic left
        let transaction = connection.transaction()?;
        let written = work(&transaction, rows).and_then(|value| {
            let next = rows.next_head();
            if let Some((head, mac)) = &next {
                schema::write_head(&transaction, &rows.head().0, head, mac)?;
            }
            transaction.commit()?;
            Ok((value, next))
        });
        match written {
            Ok((value, next)) => {
                rows.commit(next.map(|(head, _)| head));
                Ok(value)
            }
            Err(error) => {
                rows.undo();
                Err(error)
            }
        }
    }
}
