//! Opening and closing: the order of start and shutdown. Not for what runs in between.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded, unbounded};

use super::admin::{Admin, AdminCommand};
use super::heartbeat::Heartbeat;
use super::recovery_request::SupervisorEvent;
use super::sessions::workers_granted;
use super::state::{Shared, Status};
use super::supervisor::Supervisor;
use super::watchdog::{SpareWorkers, Watchdog};
use super::worker::{self, Job};
use crate::arena::{Arena, SecretMemory, SecretMemoryPolicy};
use crate::error::OpenError;
use crate::keys::index::Index;
use crate::keys::lock::TokenLock;
use crate::keys::retest::Retest;
use crate::pkcs11::Module;
use crate::settings::Settings;
use crate::softhsm;
use crate::token::connection::{LoggedInToken, finalise};
use crate::token::lease::{Claim, Lease, boot_id};
use crate::token::login::Credential;
use crate::token::place::Place;
use crate::token::store_key::{self, StoreKey};
use crate::wrap::{self, Kek};

/// Creations and destructions that may wait.
const COMMANDS: usize = 256;
/// How long closing waits for threads that are inside a call.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything behind the handle.
pub(crate) struct Running {
    pub(crate) shared: Arc<Shared>,
    pub(crate) jobs: Sender<Job>,
    pub(crate) commands: Sender<AdminCommand>,
    /// Authenticates the rows of the store; stays here while the token is away.
    pub(crate) store_key: Arc<StoreKey>,
    /// Whether the token takes data objects, and so keeps the audit log's anchor.
    pub(crate) keeps_anchors: bool,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    workers: Vec<JoinHandle<()>>,
    admin: Option<JoinHandle<()>>,
    supervisor: Option<JoinHandle<()>>,
    /// Ends when the sender is dropped, and gives the spares.
    watchdog: Option<(Sender<()>, JoinHandle<SpareWorkers>)>,
    locks: Vec<TokenLock>,
}

/// What does not concern the token yet.
pub(crate) struct Prepared {
    pub(crate) lock: TokenLock,
    pub(crate) memory: SecretMemoryPolicy,
    pub(crate) credential: Credential,
    pub(crate) arena: Arena,
    pub(crate) module: Arc<Module>,
}

/// What `initialise` and `open` begin with; everything here fails before the token is touched.
pub(crate) fn prepare(settings: &Settings) -> Result<Prepared, OpenError> {
    let lock = TokenLock::take(&settings.lock_file)?;
    let memory = if settings.require_secret_memory {
        SecretMemoryPolicy::RequireSecret
    } else {
        SecretMemoryPolicy::PreferSecret
    };
    let credential = Credential::read(settings, memory)?;
    let arena = Arena::new(memory)?;
    if arena.kind() == SecretMemory::LockedPages {
        tracing::warn!("the kernel gives no memfd_secret; scalars are in locked pages that root can read");
    }
    let module = Module::load(&settings.module, settings.initialize_string.as_deref())
        .map_err(|source| OpenError::ModuleMissing { path: settings.module.clone(), source })?;
    Ok(Prepared { lock, memory, credential, arena, module })
}

/// See [`crate::Enclave::open`].
pub(crate) fn open(settings: Settings) -> Result<Running, OpenError> {
    if settings.workers == 0 {
        return Err(OpenError::Settings("workers must be at least 1"));
    }
    if settings.queue == 0 {
        return Err(OpenError::Settings("queue must be at least 1"));
    }
    let Prepared { lock, memory, credential, mut arena, module } = prepare(&settings)?;
    let mut arenas = (0..settings.workers).map(|_| Arena::new(memory)).collect::<Result<Vec<_>, _>>()?;
    let admin_arenas = [Arena::new(memory)?, Arena::new(memory)?];
    bn254_ct::initialise();
    let mut digest_key = [0; 32];
    getrandom::fill(&mut digest_key)?;
    let login = LoggedInToken::new(&module, &settings.token, None, &credential)?;
    let place = |session: &_, kek: &Kek| Place::find(session, &settings, Some(kek.id));
    let connection = login.connect(1, &settings.prepared_keys, place, arena.parts().0)?;
    let connection = Arc::new(connection);
    let of_token = |layout| softhsm::files::lock(layout, &connection.info.serial).transpose();
    let of_token = settings.softhsm.as_ref().and_then(of_token).transpose();
    let of_token = of_token.inspect_err(|_| connection.disconnect())?;
    if !connection.scheme.is_admitted(settings.scheme) {
        connection.disconnect();
        return Err(OpenError::SchemeRefused { found: connection.scheme.to_string() });
    }
    let session = || connection.session();
    let workers = workers_granted(session, settings.workers).inspect_err(|_| connection.disconnect())?;
    arenas.truncate(workers);
    let proven = connection.checkpoint_signer.prove_sealed(&session, &connection.kek, &mut arena);
    let slot = arena.parts().0;
    let probed = proven
        .map_err(OpenError::from)
        .and_then(|()| Ok(wrap::probe(connection.scheme, session, connection.session_kek, slot)?));
    let loaded = probed.and_then(|()| {
        let (session, scheme) = (connection.session()?, connection.scheme);
        let (records, signer) = (connection.records(&session), &connection.checkpoint_signer);
        let store_key = store_key::open(&session, &*records, &connection.kek, scheme, signer, slot, memory)?;
        let (index, findings) = Index::load(&connection, slot)?;
        let others = [connection.canary.iv(), store_key.record_iv()];
        for iv in others.into_iter().chain(connection.checkpoint_signer.record_iv()) {
            index.take_iv(iv);
        }
        let keeps_anchors = connection.place.keeps_anchors(&session)?;
        // Last: from here on the supervisor looks at it, and what was done so far only reads.
        let lease = match keeps_anchors && settings.softhsm.is_none() {
            true => {
                let boot = boot_id(&settings.lease);
                let own = Claim::of_this_process(store_key.installation(), boot, lock.identity()?)?;
                Some(Lease::acquire(&session, &connection.place.template, &settings.lease, own)?)
            }
            false => None,
        };
        Ok(((index, findings), (Arc::new(store_key), keeps_anchors), lease))
    });
    let ((index, mut findings), (store_key, keeps_anchors), lease) =
        loaded.inspect_err(|_| connection.disconnect())?;
    let lease = lease.map(|(lease, taken_over)| {
        findings.taken_over = taken_over;
        lease
    });
    if let Some(layout) = &settings.softhsm {
        // The login worked and the canary opened: what the file holds now is what the PIN opens.
        match softhsm::files::renew_copy(layout, &connection.info.serial) {
            Ok(true) => tracing::info!("token.object has changed (a new PIN?); a new copy of it was taken"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "no copy of token.object could be taken"),
        }
    }
    tracing::info!(
        token = connection.info.label,
        serial = connection.info.serial,
        records = connection.place.name(),
        keys = index.count(),
        unreadable = findings.unreadable.len(),
        incomplete = findings.incomplete,
        foreign = findings.foreign,
        memory = arena.kind().as_str(),
        "the enclave is open"
    );

    let (jobs, job_inbox) = bounded(settings.queue);
    let (commands, command_inbox) = bounded(COMMANDS);
    let (inbox, notices) = unbounded();
    let kind = arena.kind();
    let shared = Shared::new(connection, (index, findings), &settings, digest_key, kind, inbox, lease);
    let (shared, threads) = (Arc::new(shared), Mutex::default());
    let running = Running { shared, jobs, commands, store_key, keeps_anchors, threads };
    let started = || {
        let mut threads = running.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.locks = std::iter::once(lock).chain(of_token).collect();
        let (selector, interval) = (settings.token, settings.canary_interval);
        let (shared, retest) = (Arc::clone(&running.shared), Retest::default());
        let prepared = settings.prepared_keys;
        let supervisor = Supervisor { shared, arena, selector, prepared, credential, interval, retest };
        threads.supervisor = Some(spawn("hsm-supervisor".into(), move || supervisor.run(&notices))?);
        let admin = Admin::new(
            Arc::clone(&running.shared),
            admin_arenas,
            settings.softhsm.map(|layout| layout.tokens),
        );
        threads.admin = Some(spawn("hsm-admin".into(), move || admin.run(&command_inbox))?);
        for (number, arena) in arenas.into_iter().enumerate() {
            let (shared, inbox) = (Arc::clone(&running.shared), job_inbox.clone());
            let heartbeat = Arc::new(Heartbeat::new(settings.stall_timeout));
            let own = Arc::clone(&heartbeat);
            let body = move || worker::run(shared, arena, &own, &inbox);
            threads.workers.push(spawn(format!("hsm-worker-{number}"), body)?);
            running.shared.heartbeats(|heartbeats| heartbeats.push(heartbeat));
        }
        let shared = Arc::clone(&running.shared);
        let stall_timeout = settings.stall_timeout;
        let watchdog = Watchdog { shared, jobs: job_inbox, memory, workers, stall_timeout };
        let (stop, end) = bounded(0);
        threads.watchdog = Some((stop, spawn("hsm-watchdog".into(), move || watchdog.run(&end))?));
        Ok(())
    };
    // Dropping `running` after a failure ends what was started.
    started().map(|()| running)
}

fn spawn<R: Send + 'static>(
    name: String,
    body: impl FnOnce() -> R + Send + 'static,
) -> Result<JoinHandle<R>, OpenError> {
    let spawned = std::thread::Builder::new().name(name).spawn(body);
    spawned.map_err(|source| OpenError::Host { what: "a thread could not be started", source })
}

impl Running {
    /// Finishes what is queued, ends the threads, logs out. Safe to call twice.
    pub(crate) fn shut_down(&self) {
        self.shared.closing.store(true, Ordering::Release);
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let Threads { mut workers, admin, supervisor, watchdog, locks } = std::mem::take(&mut *threads);
        let until = Instant::now() + SHUTDOWN_TIMEOUT;
        if let Some((stop, watchdog)) = watchdog {
            drop(stop);
            workers.extend(watchdog.join().unwrap_or_default());
        }
        // One for each worker; a worker that hangs does not take its own.
        for _ in &workers {
            let _ = self.jobs.send_deadline(Job::Leave, until);
        }
        if admin.is_some() {
            let _ = self.commands.send_deadline(AdminCommand::Leave, until);
        }
        let mut gone = true;
        for thread in workers.into_iter().chain(admin) {
            gone &= ended(thread, until);
        }
        if let Some(supervisor) = supervisor {
            let _ = self.shared.inbox.send(SupervisorEvent::Leave);
            gone &= ended(supervisor, until);
        }
        if locks.is_empty() {
            return;
        }
        match self.shared.status() {
            // A thread that hangs inside the module forbids C_Finalize; the process is about to end anyway.
            _ if !gone => tracing::warn!("a thread is still inside the module; it is left behind"),
            Status::Ready(connection) | Status::Recovering { last: connection, .. } => {
                connection.disconnect()
            }
            Status::Stopped { .. } => finalise(&self.shared.module),
        }
        drop(locks);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn ended(thread: JoinHandle<()>, until: Instant) -> bool {
    while !thread.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    thread.is_finished() && thread.join().is_ok()
}
