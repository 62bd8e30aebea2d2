//! `[limits]`.

use std::time::Duration;

use crate::config::kinds::{Number, Optional, PER_MINUTE, PER_SECOND, TIME};
use crate::config::section_macro::section;

/// Requests that one processor core works on at a time by default.
const REQUESTS_PER_CORE: usize = 32;

section! {
    /// Limits per client address and for the whole service. A client address is one IPv4 address or
    /// one IPv6 /64 network. Clients behind a proxy have the proxy's address, unless
    /// `server.trusted_proxies` lists it: then it names them.
    ["limits"]
    pub struct Limits {
        /// Connections of one client address at a time; 0: no limit.
        connections_per_address: usize = "128", Number(0..=65_536), reloads;
        /// Requests of one client address.
        requests_per_address: u32 = "10000/s", PER_SECOND, reloads;
        /// Failed authentications of one client address. Above the limit the service refuses logins
        /// and signed requests from that address; valid access tokens still work.
        auth_failures_per_address: u32 = "30/min", PER_MINUTE, reloads;
        /// Logins and signed requests of one client address: the service must check their
        /// signatures, which is expensive.
        signature_checks_per_address: u32 = "50/s", PER_SECOND, reloads;
        /// Requests with one access token.
        requests_per_access_token: u32 = "10000/s", PER_SECOND, reloads;
        /// Requests that the service works on at a time; 0: 32 per processor core.
        max_concurrent_requests: usize = "0", Number(0..=65_536), reloads;
        /// Requests that may wait for one of those. Clients take turns, by access token, EOA or address.
        /// Above it the client with most waiting requests loses its newest: it fails with `overloaded`.
        max_queued_requests: usize = "4096", Number(0..=1_000_000), reloads;
        /// Longest time that a request may wait. After it the request fails with `overloaded`. Empty: a
        /// quarter of `server.request_deadline`, which is also the most.
        queue_timeout: Option<Duration> = "", Optional(TIME), reloads;
        /// Keys of one EOA. The command line on the host is exempt from this quota and the next four.
        keys_per_eoa: usize = "100", Number(1..=1_000_000);
        /// Versions of one key that are not destroyed.
        versions_per_key: usize = "32", Number(2..=1_000_000);
        /// Access tokens of one EOA that are valid at a time.
        access_tokens_per_eoa: usize = "50", Number(1..=1_000_000);
        /// Rotation schedules of one EOA.
        schedules_per_eoa: usize = "100", Number(1..=1_000_000);
        /// Keys of all EOAs. A token has finite space, and a start reads each of them.
        max_keys: usize = "20000", Number(1..=1_000_000);
    }
}

impl Limits {
    /// Puts numbers in the place of what follows from the machine.
    pub(in crate::config) fn resolve(&mut self, cores: usize) {
        if self.max_concurrent_requests == 0 {
            self.max_concurrent_requests = cores * REQUESTS_PER_CORE;
        }
    }

    /// The longest wait of a request that must end within this time.
    pub fn queue_timeout(&self, deadline: Duration) -> Duration {
        self.queue_timeout.unwrap_or(deadline / 4).min(deadline)
    }
}
