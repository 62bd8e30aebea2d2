//! The scheduler: due → announced, next version made → current → old one retired → destroyed at its date.
//!
//! Each look decides from what the store says and what time it is, and remembers nothing that matters: after a
//! restart or a long absence it does what is due, once. Every deed goes through `operation`, so it is recorded like
//! anybody's. Not for: deciding what a change does (`key`), or transactions on a chain (the service sends none).

mod clock_guard;
mod metrics;
mod plan;
mod registry_watcher;
mod webhook;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hsm::KeyId;
use jiff::Timestamp;
use tokio::sync::watch;

pub use clock_guard::{ClockGuard, SETTLING};
pub use metrics::{KeyStats, RotationStats, show_stats, stats};
pub use plan::{Action, DueAction, RegistryStatus, due};
pub use registry_watcher::RegistryWatcher;
pub use webhook::{Secret, SecretError, WebhookTarget, Webhooks};

use crate::key::KeyVersion;
use crate::key::LifecycleAction;
use crate::request_id::RequestId;
use crate::service::{ChangeKey, Context, RotateKey, Service, ServiceError};

/// How long one deed may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What looks after schedules and dates. One per process.
#[derive(Debug)]
pub struct Scheduler {
    service: Arc<Service>,
    follower: Option<RegistryWatcher>,
    steadiness: Mutex<ClockGuard>,
    /// What failed last, so that clients are told once and not at every look.
    failed: Mutex<HashMap<(KeyId, Action), &'static str>>,
}

/// What one look did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickReport {
    /// Deeds that were done.
    pub done: usize,
    /// Deeds that failed; they are tried again.
    pub failed: usize,
    /// Whether nothing was looked at: token or log are away, or the clock has just jumped.
    pub idle: bool,
}

impl Scheduler {
    /// A scheduler over a service; with a follower it asks the chain, too.
    pub fn new(service: Arc<Service>, follower: Option<RegistryWatcher>) -> Self {
        Self { service, follower, steadiness: Mutex::default(), failed: Mutex::default() }
    }

    /// Looks at every interval until it is told to stop.
    pub async fn run(self, interval: Duration, mut stop: watch::Receiver<bool>) {
        loop {
            self.look().await;
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Looks once and does what is due.
    pub async fn look(&self) -> TickReport {
        let moment = self.service.clock().moment();
        let steady = self.steadiness.lock().unwrap_or_else(PoisonError::into_inner).trusts(moment);
        if !steady || !self.service.can_change() {
            return TickReport { idle: true, ..TickReport::default() };
        }
        let mut looked = TickReport::default();
        self.follower.iter().for_each(RegistryWatcher::begin);
        for versions in self.keys() {
            let mut words = HashMap::new();
            if let Some(follower) = &self.follower {
                for version in &versions {
                    words.insert(version.id, follower.word(&self.service, version, moment.wall).await);
                }
            }
            let word =
                |version: &KeyVersion| words.get(&version.id).copied().unwrap_or(RegistryStatus::NotTracked);
            let Some(newest) = versions.first() else { continue };
            let schedule = match self.service.store().schedule_of(&newest.eoa, &newest.name) {
                Ok(schedule) => schedule,
                Err(error) => {
                    tracing::error!(%error, "a schedule cannot be read");
                    continue;
                }
            };
            // What was seen of the chain stands in the store by now.
            let versions = self.service.store().versions_of_key(&newest.eoa, &newest.name);
            for due in due(&versions, schedule.as_ref(), word, moment.wall) {
                if self.does(&due, moment.wall).await {
                    looked.done += 1;
                } else {
                    looked.failed += 1;
                    // What comes after may rest on what failed.
                    break;
                }
            }
        }
        looked
    }

    /// The versions of each key, newest first.
    fn keys(&self) -> Vec<Vec<Arc<KeyVersion>>> {
        let store = self.service.store();
        let all = store.all_versions();
        let names: HashSet<_> = all.iter().map(|version| (version.eoa, version.name.clone())).collect();
        let mut keys: Vec<_> = names.iter().map(|(eoa, name)| store.versions_of_key(eoa, name)).collect();
        keys.sort_by(|a, b| {
            let name = |versions: &[Arc<KeyVersion>]| versions.first().map(|v| (v.eoa, v.name.clone()));
            name(a).cmp(&name(b))
        });
        keys
    }

    /// Does one thing; says whether it was done.
    async fn does(&self, due: &DueAction, now: Timestamp) -> bool {
        let result = self.attempt(due, now).await;
        let what = (due.version.id, due.action);
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = match result {
            Ok(()) => {
                failed.remove(&what);
                let DueAction { version, action, reason } = due;
                tracing::info!(eoa = %version.eoa, name = %version.name, version = %version.version, ?action, reason, "scheduled");
                return true;
            }
            Err(failure) => failure,
        };
        let code = failure.code().as_str();
        tracing::error!(action = ?due.action, code, cause = failure.cause(), "a scheduled change failed: {failure}");
        if failed.insert(what, code) != Some(code) {
            let why = format!("{:?}: {failure}", due.action);
            if let Err(error) = self.service.store().rotation_failed(&due.version, &why, now) {
                tracing::error!(%error, "the event of a failed rotation could not be stored");
            }
        }
        false
    }

    async fn attempt(&self, due: &DueAction, now: Timestamp) -> Result<(), ServiceError> {
        let context = Context::service(RequestId::random().map_err(ServiceError::internal)?);
        let deadline = Instant::now() + PATIENCE;
        let (eoa, name) = (due.version.eoa, due.version.name.clone());
        let reason = Some(due.reason.clone());
        let change = match due.action {
            Action::Announce { due_at } => {
                self.service.store().announce(&due.version, due_at, now).map_err(ServiceError::internal)?;
                return Ok(());
            }
            Action::Rotate => {
                let wish = RotateKey { eoa, name, version: None, binding: None, reason };
                return self.service.rotate_key(context, wish, deadline).await.map(drop);
            }
            Action::Destroy => {
                return self.service.destroy_version(context, &due.version, deadline).await.map(drop);
            }
            Action::Activate => LifecycleAction::Activate,
            Action::Retire => LifecycleAction::Retire,
        };
        let version = Some(crate::key::VersionSelector::Number(due.version.version));
        let wish = ChangeKey { eoa, name, version, change, after_days: 0, reason };
        self.service.change_key(context, wish, deadline).await.map(drop)
    }
}
