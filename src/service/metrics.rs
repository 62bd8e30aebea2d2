//! Gauges of the use cases, read when they are scraped. Not for: what is counted as it happens.

use super::Services;
use crate::metrics;

impl Services {
    /// Sets the gauges of log, freeze, keys and enclave.
    pub fn show_metrics(&self) {
        metrics::show_audit(self.log.is_writable(), self.log.head().size);
        metrics::show_freeze(self.store.freeze().is_some());
        metrics::show_keys(self.store.all_versions().iter().map(|version| version.state()));
        if let Some(reading) = self.custody.reading() {
            metrics::show_enclave(reading);
        }
    }
}
