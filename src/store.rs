//! Persistent state that is not secret: key versions, access-token hashes, policies, schedules, events.
//!
//! [`Store`] keeps in memory what each request needs, so that signing never asks the database. Behind it is a
//! [`Backend`]; its calls are asynchronous, so that a slow disk stops no other request. Beside it are the wrapped records
//! of a token without data objects. Not for: scalars, history (the audit log has it), or decisions (`key`, `auth`).

mod access_tokens;
mod authentic;
mod backend;
#[cfg(test)]
pub(crate) mod backend_tests;
mod cache;
mod error;
mod events;
mod index;
mod key_event;
mod keys;
mod logins;
mod settings;
mod sqlite;
mod transitions;

pub use authentic::Head as StoreHead;
pub use backend::{
    Backend, ChallengeUse, Contents, IntentMark, KeyChange, Login, PendingDeliveries, VersionUpdate,
};
pub use cache::Store;
pub use error::{StoreError, VersionNotFound};
pub use key_event::{Delivery, KeyEvent, NewEvent};
pub use sqlite::{SqliteBackend, SqliteFile, SqliteRecords, StoreCopy, newest_change, snapshot};
pub use transitions::LifecycleUpdate;
