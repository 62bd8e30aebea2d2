//! A freeze: no key of the service signs until the administrator ends it.

use jiff::Timestamp;

/// Since when the service is frozen, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// When it began.
    pub since: Timestamp,
    /// The administrator's reason.
    pub reason: Option<String>,
}
