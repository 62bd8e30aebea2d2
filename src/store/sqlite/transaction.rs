//! Transactions: one at a time, on tokio's threads for blocking work, with the rows and the head or not at all.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::reserve::SharedFile;
use super::schema;
use crate::store::authentic::{Head, Rows};
use crate::store::error::StoreError;

/// The file, and its rows as they were verified or written last.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) file: SharedFile,
    pub(super) rows: Rows,
}

/// The verified file, for all threads.
#[derive(Debug)]
pub(super) struct Database {
    verified: Arc<Mutex<Verified>>,
    /// The durable head, so that reading it waits for no write.
    head: Arc<Mutex<Head>>,
}

impl Database {
    pub(super) fn over(verified: Verified) -> Self {
        let head = Arc::new(Mutex::new(verified.rows.head().0));
        Self { verified: Arc::new(Mutex::new(verified)), head }
    }

    pub(super) fn head(&self) -> Head {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one transaction that changes nothing that decides, on a thread for blocking work.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &mut Rows) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.blocking(|verified| verified.transact(work)).await
    }

    /// Runs one transaction. Rows and head change with it, or not at all.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &mut Rows) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.blocking(|verified| {
            let has_space = verified.file.lock().reserve.fill();
            if has_space { verified.transact(work) } else { Err(StoreError::DiskFull) }
        })
        .await
    }

    /// The same for a change that only takes away, or that a start makes: on a full disk it takes the reserve.
    pub(super) async fn run_on_full_disk<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection, &mut Rows) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.blocking(move |verified| {
            loop {
                match verified.transact(&work) {
                    Err(error) if error.is_disk_full() && verified.file.lock().reserve.give() => {}
                    done => return done,
                }
            }
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Verified) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (verified, published) = (Arc::clone(&self.verified), Arc::clone(&self.head));
        tokio::task::spawn_blocking(move || {
            // A panic under the lock left SQLite's transaction rolled back: the connection is good.
            let mut verified = verified.lock().unwrap_or_else(PoisonError::into_inner);
            let done = work(&mut verified);
            *published.lock().unwrap_or_else(PoisonError::into_inner) = verified.rows.head().0;
            done
        })
        .await?
    }
}

impl Verified {
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Rows) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Self { file, rows } = self;
        rows.undo(); // what a panic left
        let mut file = file.lock();
        let transaction = file.connection.transaction()?;
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
