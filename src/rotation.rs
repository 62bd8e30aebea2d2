//! Scheduler: due → announced, next version made → current → old one retired → destroyed at its date.
//!
//! Each tick decides from the store and the clock, and keeps nothing that matters: after a restart or a long absence
//! it does what is due, once. Every action goes through `service`, so it is recorded like a request. Not for: deciding
//! what a change does (`key`), or transactions on a chain (the service sends none).

mod clock_guard;
mod metrics;
mod plan;
mod registry_watcher;
mod scheduler;
mod webhook;

pub use clock_guard::ClockGuard;
pub use metrics::{KeyStats, RotationStats, show_stats, stats};
pub use plan::{Action, DueAction, RegistryStatus, due};
pub use registry_watcher::RegistryWatcher;
pub use scheduler::{SHUTDOWN_TIMEOUT, Scheduler, TickReport};
pub use webhook::{Secret, SecretError, WebhookTarget, Webhooks};
