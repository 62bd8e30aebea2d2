//! Loop of the scheduler, and what one tick does.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hsm::KeyId;
use jiff::Timestamp;
use tokio::sync::watch;

use super::clock_guard::ClockGuard;
use super::plan::{Action, DueAction, RegistryStatus, due};
use super::registry_watcher::RegistryWatcher;
use crate::clock::SETTLING;
use crate::key::{KeyVersion, LifecycleAction, VersionSelector};
use crate::request_id::RequestId;
use crate::service::{ChangeKey, Context, RotateKey, ServiceError, Services};

/// How long one action may take.
const ACTION_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an action under way may take at shutdown. What is cut off, the next start finishes or undoes.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Does what schedules and dates make due. One per process.
#[derive(Debug)]
pub struct Scheduler {
    services: Arc<Services>,
    watcher: Option<RegistryWatcher>,
    clock_guard: Mutex<ClockGuard>,
    /// How long nothing is destroyed after a start and after a jump of the clock.
    observation_time: Duration,
    /// The last failure of each action: clients get one event for it, not one at each tick.
    failed: Mutex<HashMap<(KeyId, Action), &'static str>>,
}

/// What one tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickReport {
    /// Actions that were done.
    pub done: usize,
    /// Actions that failed; they are tried again.
    pub failed: usize,
    /// Whether nothing was examined: token or log are unavailable, or the clock has just jumped.
    pub idle: bool,
}

impl Scheduler {
    /// A scheduler over the use cases; with a watcher it asks the registries, too.
    pub fn new(services: Arc<Services>, watcher: Option<RegistryWatcher>) -> Self {
        let clock_guard = Mutex::new(ClockGuard::new(services.clock().moment()));
        Self { services, watcher, clock_guard, observation_time: SETTLING, failed: Mutex::default() }
    }

    /// The same scheduler with another observation time than [`SETTLING`].
    pub fn observing(self, observation_time: Duration) -> Self {
        Self { observation_time, ..self }
    }

    /// Ticks at every interval until `stop` is set. Then no further action begins, and the one under way has
    /// [`SHUTDOWN_TIMEOUT`].
    pub async fn run(self, interval: Duration, stop: watch::Receiver<bool>) {
        let mut stopped = stop.clone();
        let is_stopping = || *stop.borrow();
        loop {
            tokio::select! {
                _ = self.tick_unless(is_stopping) => {}
                () = shutdown_is_over(stop.clone()) => {
                    tracing::warn!("a scheduled change was cut off by the shutdown; the next start settles it");
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Does what is due now.
    pub async fn tick(&self) -> TickReport {
        self.tick_unless(|| false).await
    }

    async fn tick_unless(&self, is_stopping: impl Fn() -> bool) -> TickReport {
        let moment = self.services.clock().moment();
        let (plausible, observed) = {
            let mut guard = self.clock_guard.lock().unwrap_or_else(PoisonError::into_inner);
            (guard.is_plausible(moment), guard.was_observed(self.observation_time))
        };
        if !plausible || !self.services.can_change() {
            return TickReport { idle: true, ..TickReport::default() };
        }
        let mut report = TickReport::default();
        self.watcher.iter().for_each(RegistryWatcher::begin);
        for versions in self.keys() {
            for action in self.due(&versions, moment.wall).await {
                if is_stopping() {
                    return report;
                }
                if !observed && matches!(action.action, Action::Destroy) {
                    tracing::info!(
                        eoa = %action.version.eoa, name = %action.version.name, version = %action.version.version,
                        "a destruction waits until the clock was observed (rotation.observation_time)"
                    );
                    continue;
                }
                if self.perform(&action, moment.wall).await {
                    report.done += 1;
                } else {
                    report.failed += 1;
                    // Later actions may depend on the one that failed.
                    break;
                }
            }
        }
        report
    }

    /// What is due for one key.
    async fn due(&self, versions: &[Arc<KeyVersion>], now: Timestamp) -> Vec<DueAction> {
        let Some(newest) = versions.first() else { return Vec::new() };
        let mut statuses = HashMap::new();
        if let Some(watcher) = &self.watcher {
            for version in versions {
                statuses.insert(version.id, watcher.status(self.services.store(), version, now).await);
            }
        }
        let status =
            |version: &KeyVersion| statuses.get(&version.id).copied().unwrap_or(RegistryStatus::NotTracked);
        let store = self.services.store();
        let schedule = store.schedule_of(&newest.eoa, &newest.name);
        // The watcher may have stored what it saw.
        let versions = store.versions_of_key(&newest.eoa, &newest.name);
        due(&versions, schedule.as_ref(), status, now)
    }

    /// The versions of each key, newest first.
    fn keys(&self) -> Vec<Vec<Arc<KeyVersion>>> {
        let store = self.services.store();
        let all = store.all_versions();
        let names: HashSet<_> = all.iter().map(|version| (version.eoa, version.name.clone())).collect();
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort();
        names.iter().map(|(owner, name)| store.versions_of_key(owner, name)).collect()
    }

    /// Performs one action; returns whether it was done.
    async fn perform(&self, due: &DueAction, now: Timestamp) -> bool {
        let result = self.attempt(due, now).await;
        let what = (due.version.id, due.action);
        let DueAction { version, action, reason } = due;
        let action = action.name();
        let error = match result {
            Ok(()) => {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).remove(&what);
                tracing::info!(
                    eoa = %version.eoa, name = %version.name, version = %version.version, action, reason,
                    "scheduled change"
                );
                return true;
            }
            Err(error) => error,
        };
        let code = error.code().as_str();
        tracing::error!(action, code, cause = error.cause(), "a scheduled change failed: {error}");
        let last = self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(what, code);
        if last != Some(code) {
            let reason = format!("{action}: {error}");
            if let Err(error) = self.services.store().rotation_failed(version, &reason, now).await {
                tracing::error!(%error, "the event of a failed rotation was not stored");
            }
        }
        false
    }

    async fn attempt(&self, due: &DueAction, now: Timestamp) -> Result<(), ServiceError> {
        let context = Context::service(RequestId::random().map_err(ServiceError::internal)?);
        let deadline = Instant::now() + ACTION_TIMEOUT;
        let keys = &self.services.keys;
        let (eoa, name) = (due.version.eoa, due.version.name.clone());
        let reason = Some(due.reason.clone());
        let change = match due.action {
            Action::Announce { due_at } => {
                let announced = self.services.store().announce(&due.version, due_at, now).await;
                return announced.map(drop).map_err(ServiceError::internal);
            }
            Action::Rotate => {
                let request = RotateKey { eoa, name, version: None, binding: None, reason };
                return keys.rotate(context, request, deadline).await.map(drop);
            }
            Action::Destroy => return keys.destroy_due(context, &due.version, deadline).await.map(drop),
            Action::Activate => LifecycleAction::Activate,
            Action::Retire => LifecycleAction::Retire,
        };
        let version = Some(VersionSelector::Number(due.version.version));
        let request = ChangeKey { eoa, name, version, change, after_days: 0, reason };
        keys.change(context, request, deadline).await.map(drop)
    }
}

/// Ends [`SHUTDOWN_TIMEOUT`] after the stop.
async fn shutdown_is_over(mut stop: watch::Receiver<bool>) {
    // A sender that is gone stops, too.
    let _ = stop.wait_for(|stop| *stop).await;
    tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
}
