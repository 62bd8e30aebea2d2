//! The place of the wrapped records, as labels and values: the token's data objects (`wrap::object`), or what the service
//! gives for tokens without them.
//!
//! A value is ciphertext with an authenticated header: a place is trusted neither to keep it secret nor to keep it
//! unchanged. Not for what a value says (`wrap::record`).

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::pkcs11::TokenError;

/// The longest value, bytes. The longest record, of S5, has 1,137.
pub const RECORD_MAX: usize = 1280;

/// What a search of a place finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A value under a label.
    Value {
        /// The label.
        label: &'a str,
        /// The value.
        value: &'a [u8],
    },
    /// An object that an interrupted creation left.
    Incomplete,
    /// An object of another application.
    Foreign,
}

/// A place of wrapped records. Every call blocks; after a success what it changed is durable.
pub trait Records {
    /// The values under this label. More than one only where another program wrote them, or while keys move from one
    /// key-encryption key to another.
    ///
    /// # Errors
    /// When the place cannot be read.
    fn find(&self, label: &str) -> Result<Vec<Vec<u8>>, RecordsError>;

    /// Everything that is there.
    ///
    /// # Errors
    /// When the place cannot be read.
    fn scan(&self, each: &mut dyn FnMut(Found<'_>)) -> Result<(), RecordsError>;

    /// Stores a value under a label that has none of the same key-encryption key.
    ///
    /// # Errors
    /// When it was not stored. A token may have stored it all the same.
    fn insert(&self, label: &str, value: &[u8]) -> Result<(), RecordsError>;

    /// Removes this value under this label; nothing where it is not there.
    ///
    /// # Errors
    /// When it may still be there.
    fn remove_value(&self, label: &str, value: &[u8]) -> Result<(), RecordsError>;

    /// Removes every value under this label that [`find`](Self::find) gives.
    ///
    /// # Errors
    /// When some may still be there.
    fn remove(&self, label: &str) -> Result<(), RecordsError> {
        self.find(label)?.iter().try_for_each(|value| self.remove_value(label, value))
    }
}

impl fmt::Debug for dyn Records + Send + Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

/// Why a place did not do something.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The token refused a call.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The place outside the token failed; nothing was changed there.
    #[error("the wrapped records cannot be read or written")]
    Outside(#[source] Box<dyn Error + Send + Sync>),
}

/// A place that is gone with the process: for rehearsals of `init`.
#[derive(Default)]
pub(crate) struct InMemory(Mutex<Vec<(String, Vec<u8>)>>);

impl InMemory {
    fn values(&self) -> MutexGuard<'_, Vec<(String, Vec<u8>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records for InMemory {
    fn find(&self, label: &str) -> Result<Vec<Vec<u8>>, RecordsError> {
        let values = self.values();
        Ok(values.iter().filter(|(other, _)| other == label).map(|(_, value)| value.clone()).collect())
    }

    fn scan(&self, each: &mut dyn FnMut(Found<'_>)) -> Result<(), RecordsError> {
        self.values().iter().for_each(|(label, value)| each(Found::Value { label, value }));
        Ok(())
    }

    fn insert(&self, label: &str, value: &[u8]) -> Result<(), RecordsError> {
        self.values().push((label.to_owned(), value.to_owned()));
        Ok(())
    }

    fn remove_value(&self, label: &str, value: &[u8]) -> Result<(), RecordsError> {
        self.values().retain(|(other, found)| other != label || found != value);
        Ok(())
    }
}
