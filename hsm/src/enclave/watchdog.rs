//! The thread that makes no calls: it sees workers that hang inside one, puts spares in their place, and opens the circuit
//! when there are no spares left. A call that hangs cannot be cancelled; its caller is answered by its own deadline.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::state::Shared;
use super::worker::{self, Job};
use crate::arena::{Arena, Preference};

const TICK: Duration = Duration::from_millis(50);
/// At least so many spares, and one for each worker.
const SPARES_MIN: usize = 2;

/// Where one thread says what it is at.
pub(super) struct Post {
    started: Instant,
    /// In one operation for longer, it is taken for lost, until it comes back.
    limit: Duration,
    /// Milliseconds after `started` at which its operation began, plus one; 0 while it waits.
    busy_since: AtomicU64,
    abandoned: AtomicBool,
}

impl Post {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            started: Instant::now(),
            limit,
            busy_since: AtomicU64::new(0),
            abandoned: AtomicBool::new(false),
        }
    }

    pub(super) fn begin(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.busy_since.store(now + 1, Ordering::Release);
    }

    /// Whether the thread may go on; not if a spare has taken its place.
    pub(super) fn end(&self) -> bool {
        self.busy_since.store(0, Ordering::Release);
        !self.is_abandoned()
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(super) fn is_stuck(&self) -> bool {
        match self.busy_since.load(Ordering::Acquire) {
            0 => false,
            since => self.started.elapsed() > Duration::from_millis(since - 1) + self.limit,
        }
    }
}

/// Threads that took the place of others.
pub(super) type Spares = Vec<JoinHandle<()>>;

/// What the thread needs to start spares.
pub(super) struct Watchdog {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: Receiver<Job>,
    pub(super) memory: Preference,
    pub(super) workers: usize,
    pub(super) stall_limit: Duration,
}

impl Watchdog {
    /// Runs until the sender is gone; gives the spares that it started.
    pub(super) fn run(self, farewell: &Receiver<()>) -> Spares {
        let mut spares = Vec::new();
        let most = self.workers.max(SPARES_MIN);
        while let Err(RecvTimeoutError::Timeout) = farewell.recv_timeout(TICK) {
            self.shared.posts(|posts| {
                // Those that came back have left; their places are free again.
                posts.retain(|post| !post.is_abandoned() || post.is_stuck());
                for at in 0..posts.len() {
                    let Some(post) = posts.get(at).filter(|post| !post.is_abandoned() && post.is_stuck())
                    else {
                        continue;
                    };
                    let lost = posts.iter().filter(|post| post.is_abandoned()).count();
                    if lost >= most {
                        continue;
                    }
                    match self.spare() {
                        Ok((fresh, thread)) => {
                            post.abandoned.store(true, Ordering::Release);
                            tracing::error!(
                                lost = lost + 1,
                                "a worker hangs inside the module; a spare takes its place"
                            );
                            posts.push(fresh);
                            spares.push(thread);
                        }
                        Err(error) => tracing::error!(%error, "a worker hangs and no spare could be started"),
                    }
                }
                let alive = posts.iter().any(|post| !post.is_abandoned() && !post.is_stuck());
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

    fn spare(&self) -> Result<(Arc<Post>, JoinHandle<()>), Box<dyn std::error::Error>> {
        let arena = Arena::new(self.memory)?;
        let post = Arc::new(Post::new(self.stall_limit));
        let (shared, jobs, own) = (Arc::clone(&self.shared), self.jobs.clone(), Arc::clone(&post));
        let thread = std::thread::Builder::new().name("hsm-spare".into());
        let thread = thread.spawn(move || worker::run(shared, arena, &own, &jobs))?;
        Ok((post, thread))
    }
}

impl Shared {
    /// Works on the list of workers.
    pub(super) fn posts<R>(&self, with: impl FnOnce(&mut Vec<Arc<Post>>) -> R) -> R {
        with(&mut self.workers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
