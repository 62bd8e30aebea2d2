//! The state of the service in figures, read off when somebody looks. Not for: what is counted as it happens.

use crate::metrics;
use crate::service::Service;

impl Service {
    /// Brings the gauges up to date.
    pub fn show_figures(&self) {
        metrics::show_audit(self.audit.is_writable(), self.audit.head().size);
        metrics::show_keys(self.store.all_versions().iter().map(|version| version.state()));
        if let Some(reading) = self.custody.reading() {
            metrics::show_enclave(reading);
        }
    }
}
