//! What no caller may do: one session in two threads at once, a call outside C_Initialize…C_Finalize, sessions and logins
//! unaccounted for. Written to the log file; tests read it.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::Mutex;

use cryptoki_sys::CK_SESSION_HANDLE;

#[derive(Default)]
struct Ledger {
    initialised: bool,
    busy: HashMap<CK_SESSION_HANDLE, std::thread::ThreadId>,
    open: HashSet<CK_SESSION_HANDLE>,
    used: HashSet<CK_SESSION_HANDLE>,
    logins: usize,
    opened: usize,
}

static LEDGER: Mutex<Option<Ledger>> = Mutex::new(None);

fn ledger<R>(read: impl FnOnce(&mut Ledger) -> R) -> R {
    read(LEDGER.lock().unwrap().get_or_insert_default())
}

fn write(line: &str) {
    let Some(path) = std::env::var_os("HSM_FAULTS_LOG") else { return };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// A call that is inside the module.
pub struct Passing {
    session: Option<CK_SESSION_HANDLE>,
}

impl Passing {
    /// Notes the call, and what is wrong with it.
    pub fn enter(name: &str, session: Option<CK_SESSION_HANDLE>) -> Self {
        ledger(|ledger| {
            if !ledger.initialised {
                write(&format!("VIOLATION {name} outside C_Initialize and C_Finalize"));
            }
            let Some(session) = session else { return };
            if ledger.busy.insert(session, std::thread::current().id()).is_some() {
                write(&format!("VIOLATION {name}: session {session} is in use by two threads"));
            }
        });
        Self { session }
    }

    /// Whether this session was poisoned by an earlier call; it is from now on.
    pub fn poison(&self) -> bool {
        self.session.is_some_and(|session| ledger(|ledger| !ledger.used.insert(session)))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            ledger(|ledger| ledger.busy.remove(&session));
        }
    }
}

unsafe extern "C" {
    fn atexit(handler: extern "C" fn()) -> std::ffi::c_int;
}

/// As some modules do: the process dies when it exits, long after C_Finalize.
extern "C" fn crash_at_exit() {
    std::process::abort();
}

/// C_Initialize begins.
pub fn initialised() {
    static REGISTERED: std::sync::Once = std::sync::Once::new();
    if std::env::var_os("HSM_FAULTS_CRASH_AT_EXIT").is_some() {
        // SAFETY: the handler is a function of this library, which is never unloaded.
        REGISTERED.call_once(|| assert_eq!(unsafe { atexit(crash_at_exit) }, 0));
    }
    ledger(|ledger| *ledger = Ledger { initialised: true, ..Ledger::default() });
}

/// C_Finalize has ended.
pub fn finalised() {
    ledger(|ledger| {
        ledger.initialised = false;
        if !ledger.busy.is_empty() {
            write("VIOLATION C_Finalize while calls were inside");
        }
        write(&format!(
            "FINALIZE logins={} open={} opened={}",
            ledger.logins,
            ledger.open.len(),
            ledger.opened
        ));
    });
}

/// C_OpenSession gave this one.
pub fn opened(session: CK_SESSION_HANDLE) {
    ledger(|ledger| {
        ledger.open.insert(session);
        ledger.opened += 1;
        ledger.used.remove(&session);
    });
}

/// How many sessions are open.
pub fn open() -> usize {
    ledger(|ledger| ledger.open.len())
}

/// C_CloseSession took this one.
pub fn closed(session: CK_SESSION_HANDLE) {
    ledger(|ledger| {
        ledger.open.remove(&session);
    });
}

/// C_Login was called.
pub fn login() {
    ledger(|ledger| ledger.logins += 1);
}
