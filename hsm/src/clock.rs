//! The time of creation that a record carries. Not for deadlines or pauses: those are monotonic.

use std::time::SystemTime;

#[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
/// Unix seconds; 0 on a host whose clock is set before 1970.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
