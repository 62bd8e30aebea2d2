//! `[limits]`.

use std::time::Duration;

use super::reader::Reader;

/// `[limits]`: what one client, and all together, may take.
#[derive(Debug)]
pub struct Limits {
    /// Connections of one address at a time; 0: no cap.
    pub connections_per_address: usize,
    /// Requests of one address per second; 0: no limit.
    pub requests_per_address: u32,
    /// Requests with one token per second; 0: no limit.
    pub requests_per_token: u32,
    /// Refused credentials of one address per minute; 0: no limit.
    pub failures_per_address: u32,
    /// Logins and signed requests of one address per second; 0: no limit.
    pub proofs_per_address: u32,
    /// Requests that are served at the same time.
    pub max_concurrent_requests: usize,
    /// Requests that wait for one of those; a further one is refused.
    pub max_queued_requests: usize,
    /// How long a request waits before it is refused.
    pub queue_timeout: Duration,
}

pub(super) fn limits(reader: &mut Reader, cores: usize) -> Limits {
    const ANY: std::ops::RangeInclusive<u32> = 0..=1_000_000;
    Limits {
        connections_per_address: reader.number("limits.connections_per_address", 128, 0..=65_536),
        requests_per_address: reader.number("limits.requests_per_address", 4_000, ANY),
        requests_per_token: reader.number("limits.requests_per_token", 2_000, ANY),
        failures_per_address: reader.number("limits.failures_per_address", 30, ANY),
        proofs_per_address: reader.number("limits.proofs_per_address", 50, ANY),
        max_concurrent_requests: match reader.number("limits.max_concurrent_requests", 0, 0..=65_536) {
            0 => cores * 32,
            requests => requests,
        },
        max_queued_requests: reader.number("limits.max_queued_requests", 4_096, 0..=1_000_000),
        queue_timeout: reader.duration("limits.queue_timeout", "1s"),
    }
}
