//! Limits of devices beside their mechanisms, each a rule of its own.
//!
//! - `serial delay_ms=30`: one call after the other, each of at least this length, however many threads call.
//! - `idle delay_ms=2000`: a session that nothing used for this time is closed, and no caller learns of it.
//! - `objects capacity=12`: no further object once the token holds this number.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use cryptoki_sys::*;

use crate::devices::is_of_session;
use crate::real;
use crate::rules::{Effect, Rule, active};

/// Numbers of the calls: the next one to come, and the one that the token works on. First come, first served.
static TURNS: Mutex<(u64, u64)> = Mutex::new((0, 0));
static NEXT: Condvar = Condvar::new();
/// The sessions that no call uses now, each with the end of its last call.
static RESTING: Mutex<Option<HashMap<CK_SESSION_HANDLE, Instant>>> = Mutex::new(None);

fn resting<R>(change: impl FnOnce(&mut HashMap<CK_SESSION_HANDLE, Instant>) -> R) -> R {
    change(RESTING.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// The token to oneself.
struct Turn;

impl Turn {
    fn wait() -> Self {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        let own = turns.0;
        turns.0 += 1;
        while turns.1 != own {
            turns = NEXT.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURNS.lock().unwrap_or_else(PoisonError::into_inner).1 += 1;
        NEXT.notify_all();
    }
}

/// One call, as long as it lasts.
pub(crate) struct Limited {
    session: Option<CK_SESSION_HANDLE>,
    _turn: Option<Turn>,
}

impl Limited {
    /// Waits for its turn, and closes the sessions that were idle too long; this one too, if it was.
    pub(crate) fn begin(session: Option<CK_SESSION_HANDLE>) -> Self {
        let turn = active("serial").map(|rule| {
            let turn = Turn::wait();
            std::thread::sleep(rule.delay);
            turn
        });
        if let Some(Rule { delay, .. }) = active("idle") {
            let closed: Vec<_> = resting(|resting| {
                let idle = resting.iter().filter(|(_, since)| since.elapsed() > delay);
                idle.map(|(session, _)| *session).collect()
            });
            for session in closed {
                resting(|resting| resting.remove(&session));
                unsafe { real().C_CloseSession.unwrap()(session) };
            }
        }
        if let Some(session) = session {
            resting(|resting| resting.remove(&session));
        }
        Self { session, _turn: turn }
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            resting(|resting| resting.insert(session, Instant::now()));
        }
    }
}

/// C_Initialize: sessions of before are gone.
pub(crate) fn initialised() {
    resting(HashMap::clear);
}

/// C_OpenSession gave this one.
pub(crate) fn opened(session: CK_SESSION_HANDLE) {
    resting(|resting| resting.insert(session, Instant::now()));
}

/// C_CloseSession took this one.
pub(crate) fn closed(session: CK_SESSION_HANDLE) {
    resting(|resting| resting.remove(&session));
}

/// Whether the token has no space for the object of this template.
pub(crate) unsafe fn is_full(s: CK_SESSION_HANDLE, template: CK_ATTRIBUTE_PTR, n: CK_ULONG) -> bool {
    let Some(Rule { effect: Effect::Capacity(most), .. }) = active("objects") else { return false };
    unsafe { !is_of_session(template, n) && objects(s) >= most }
}

/// How many objects the token of this session holds.
unsafe fn objects(s: CK_SESSION_HANDLE) -> u64 {
    let module = real();
    let mut info = CK_SESSION_INFO { slotID: 0, state: 0, flags: 0, ulDeviceError: 0 };
    let (mut session, mut count) = (0, 0);
    let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
    let mut yes = CK_TRUE;
    let mut of_token = CK_ATTRIBUTE {
        type_: CKA_TOKEN,
        pValue: (&raw mut yes).cast(),
        ulValueLen: size_of::<CK_BBOOL>() as CK_ULONG,
    };
    unsafe {
        assert_eq!(module.C_GetSessionInfo.unwrap()(s, &raw mut info), CKR_OK);
        let null = std::ptr::null_mut();
        let rv = module.C_OpenSession.unwrap()(info.slotID, flags, null, None, &raw mut session);
        assert_eq!(rv, CKR_OK);
        assert_eq!(module.C_FindObjectsInit.unwrap()(session, &raw mut of_token, 1), CKR_OK);
        loop {
            let (mut handles, mut found) = ([0; 64], 0);
            let rv = module.C_FindObjects.unwrap()(session, handles.as_mut_ptr(), 64, &raw mut found);
            assert_eq!(rv, CKR_OK);
            count += found;
            if found == 0 {
                break;
            }
        }
        module.C_FindObjectsFinal.unwrap()(session);
        module.C_CloseSession.unwrap()(session);
    }
    count
}
