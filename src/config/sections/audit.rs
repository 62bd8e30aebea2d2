//! `[audit]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::kinds::{Number, Optional, PATH, TIME, URL};
use crate::config::reader::Reader;
use crate::config::section_macro::section;

section! {
    /// The audit log.
    ["audit"]
    pub struct Audit {
        /// Directory of the log. A disk of its own is best: nothing is signed while the log cannot be
        /// written.
        directory: PathBuf = "<data>/audit", PATH;
        /// Size of a segment in bytes, a multiple of 4096. The next segment that is started has it. Its
        /// end, an eighth and at most 256 KiB, is kept for disable, revoke and freeze on a full disk.
        segment_bytes: u64 = "67108864", Number(1 << 20..=4 << 30);
        /// Copy of the newest checkpoint, on another disk. Empty: none.
        checkpoint_file: Option<PathBuf> = "", Optional(PATH);
        /// File to which every record is appended as a line of JSON, for log shippers. Empty: none.
        jsonl_file: Option<PathBuf> = "", Optional(PATH);
        /// URL that gets the newest checkpoint by POST, as `GET /v1/audit/checkpoint` answers it: at
        /// start, at most every 10 seconds while there are new records, and at a clean stop. Use a
        /// machine of another administrator. Empty: none.
        checkpoint_webhook_url: Option<String> = "", Optional(URL);
        /// Interval at which the token keeps the newest checkpoint while there are new records; it
        /// does so at start and at a clean stop, too. At start the service notices by it that the
        /// disk was rolled back. With SoftHSM it shows nothing: its objects are on the same disk.
        anchor_interval: Duration = "5m", TIME;
        /// How long a place that gets checkpoints may be without a due one: this directory, the copy,
        /// the JSON lines file, the webhook, the token. Then the service raises an alarm and `/readyz`
        /// answers 503; it still signs.
        checkpoint_timeout: Duration = "2m", TIME;
    }
}

impl Audit {
    /// What a range does not say.
    pub(in crate::config) fn check(&self, reader: &mut Reader) {
        if !self.segment_bytes.is_multiple_of(4096) {
            reader.error("audit.segment_bytes", "expected a multiple of 4096");
        }
    }
}
