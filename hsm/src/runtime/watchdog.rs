//! The watchdog: a thread that makes no calls of the module. It replaces workers that hang inside one by spares, and
//! opens the circuit when no spare is left. A call that hangs cannot be cancelled; its caller gets its own deadline.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::heartbeat::Heartbeat;
use super::state::Shared;
use super::worker::{self, Job};
use crate::arena::{Arena, SecretMemoryPolicy};

const TICK: Duration = Duration::from_millis(50);
/// The minimum number of spares; otherwise one for each worker.
const SPARES_MIN: usize = 2;

/// Threads that replaced stuck ones.
pub(crate) type SpareWorkers = Vec<JoinHandle<()>>;

/// What the thread needs to start spares.
pub(crate) struct Watchdog {
    pub(crate) shared: Arc<Shared>,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) memory: SecretMemoryPolicy,
    pub(crate) workers: usize,
    pub(crate) stall_timeout: Duration,
}

impl Watchdog {
    /// Runs until the sender is gone; gives the spares that it started.
    pub(crate) fn run(self, stop: &Receiver<()>) -> SpareWorkers {
        let mut spares = Vec::new();
        let most = self.workers.max(SPARES_MIN);
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(TICK) {
            self.shared.heartbeats(|heartbeats| {
                // Threads whose call returned have ended; their spares count no more.
                heartbeats.retain(|heartbeat| !heartbeat.is_abandoned() || heartbeat.is_stuck());
                for at in 0..heartbeats.len() {
                    let Some(heartbeat) = heartbeats
                        .get(at)
                        .filter(|heartbeat| !heartbeat.is_abandoned() && heartbeat.is_stuck())
                    else {
                        continue;
                    };
                    let lost = heartbeats.iter().filter(|heartbeat| heartbeat.is_abandoned()).count();
                    if lost >= most {
                        continue;
                    }
                    match self.spare() {
                        Ok((fresh, thread)) => {
                            heartbeat.abandon();
                            tracing::error!(
                                lost = lost + 1,
                                "a worker hangs inside the module; a spare replaces it"
                            );
                            heartbeats.push(fresh);
                            spares.push(thread);
                        }
                        Err(error) => tracing::error!(%error, "a worker hangs and no spare could be started"),
                    }
                }
                let alive =
                    heartbeats.iter().any(|heartbeat| !heartbeat.is_abandoned() && !heartbeat.is_stuck());
                if self.shared.circuit_open.swap(!alive, Ordering::AcqRel) == alive {
                    tracing::error!(
                        open = !alive,
                        "the circuit changed: without a live worker all work is refused"
                    );
                }
            });
            spares.retain(|thread: &JoinHandle<()>| !thread.is_finished());
        }
        spares
    }

    fn spare(&self) -> Result<(Arc<Heartbeat>, JoinHandle<()>), Box<dyn std::error::Error>> {
        let arena = Arena::new(self.memory)?;
        let heartbeat = Arc::new(Heartbeat::new(self.stall_timeout));
        let (shared, jobs, own) = (Arc::clone(&self.shared), self.jobs.clone(), Arc::clone(&heartbeat));
        let thread = std::thread::Builder::new().name("hsm-spare".into());
        let thread = thread.spawn(move || worker::run(shared, arena, &own, &jobs))?;
        Ok((heartbeat, thread))
    }
}
