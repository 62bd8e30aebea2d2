//! `[rotation]` and `[events]`.

use std::path::PathBuf;
use std::time::Duration;

use super::Reader;

/// `[rotation]`: the scheduler.
#[derive(Debug)]
pub struct Rotation {
    /// How often it looks at schedules, dates and registries.
    pub interval: Duration,
}

/// `[events]`: who is told what happens to keys.
#[derive(Debug)]
pub struct Events {
    /// The receivers. A URL may hold an API key: not for logs.
    pub webhook_urls: Vec<String>,
    /// The file with the secret that signs deliveries, 0600 or stricter.
    pub webhook_secret_file: Option<PathBuf>,
    /// How long one delivery may take.
    pub webhook_timeout: Duration,
}

/// Takes both sections.
pub(super) fn read(reader: &mut Reader) -> (Rotation, Events) {
    let rotation = Rotation { interval: reader.duration("rotation.interval", "60s") };
    let events = Events {
        webhook_urls: reader.urls("events.webhook_urls"),
        webhook_secret_file: reader.path_or_none("events.webhook_secret_file"),
        webhook_timeout: reader.duration("events.webhook_timeout", "10s"),
    };
    if !events.webhook_urls.is_empty() && events.webhook_secret_file.is_none() {
        reader.mistake("events.webhook_secret_file", "webhooks are signed: name the file with the secret");
    }
    (rotation, events)
}
