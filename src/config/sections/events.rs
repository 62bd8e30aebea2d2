//! `[rotation]` and `[events]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::kinds::{List, Optional, PATH, TIME, URL};
use crate::config::reader::Reader;
use crate::config::section_macro::section;

section! {
    /// The scheduler of rotations and destructions.
    ["rotation"]
    pub struct Rotation {
        /// Interval at which the scheduler checks schedules, dates of destruction and, with
        /// `chain.rpc_url`, the registrations of bound keys.
        check_interval: Duration = "60s", TIME;
        /// How long nothing is destroyed after each start and after each jump of the wall clock: time
        /// for an operator to correct a wrong clock.
        observation_time: Duration = "1h", TIME;
    }
}

section! {
    /// Webhooks for what happens to keys.
    ["events"]
    pub struct Events {
        /// URLs that get each event as signed JSON by POST, in order per key. A delivery is repeated
        /// until the receiver answers with 2xx.
        webhook_urls: Vec<String> = "", List(URL);
        /// File with the secret that signs the deliveries (HMAC-SHA256, at least 32 characters). Its
        /// mode must be 0600 or stricter.
        webhook_secret_file: Option<PathBuf> = "", Optional(PATH);
        /// Longest time of one delivery.
        webhook_timeout: Duration = "10s", TIME;
    }
}

impl Events {
    /// What holds between the settings.
    pub(in crate::config) fn check(&self, reader: &mut Reader) {
        if !self.webhook_urls.is_empty() && self.webhook_secret_file.is_none() {
            reader.error("events.webhook_secret_file", "missing: deliveries are signed with this secret");
        }
    }
}
