//! A PKCS#11 module between the enclave and the real one, for tests only: injects faults by rule file and writes down what
//! no caller may do; `devices` emulates devices. Never part of the service.
//!
//! Environment: `HSM_FAULTS_MODULE` (the module), `HSM_FAULTS_RULES` (see [`rules`]), `HSM_FAULTS_LOG` (lines `VIOLATION …` and
//! `FINALIZE logins=… open=…`).
#![allow(unsafe_code, non_snake_case)] // it is a C library with the standard's names; tests only
#![allow(clippy::wildcard_enum_match_arm)] // effects that do not concern a function do nothing there
#![allow(clippy::undocumented_unsafe_blocks)] // every block passes on, under the standard's contract, what was passed in
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc
)] // whatever goes wrong here is a failed test

use std::sync::OnceLock;

use cryptoki_sys::*;

mod answers;
mod data_objects;
mod devices;
pub mod guard;
mod handles;
mod key_pairs;
mod key_wrap;
mod limits;
mod objects;
pub mod rules;

use guard::Passing;
use key_pairs::C_GenerateKeyPair;
use limits::Limited;
use objects::*;
use rules::{Effect, Rule, active};

struct RealModule {
    list: CK_FUNCTION_LIST,
    _loaded: Pkcs11,
}

// Function pointers and a library that is never unloaded.
unsafe impl Send for RealModule {}
unsafe impl Sync for RealModule {}

fn real() -> &'static CK_FUNCTION_LIST {
    static REAL: OnceLock<RealModule> = OnceLock::new();
    let real = REAL.get_or_init(|| unsafe {
        let path = std::env::var("HSM_FAULTS_MODULE").unwrap_or("/usr/lib/softhsm/libsofthsm2.so".into());
        let loaded = Pkcs11::new(path).expect("the real module");
        let mut list = std::ptr::null_mut();
        assert_eq!(loaded.C_GetFunctionList(&raw mut list), CKR_OK);
        RealModule { list: *list, _loaded: loaded }
    });
    &real.list
}

/// One call: faults before it, the call, faults after it.
fn through(
    name: &str,
    session: Option<CK_SESSION_HANDLE>,
    call: impl FnOnce() -> CK_RV,
    after: impl FnOnce(&Rule),
) -> CK_RV {
    let passing = Passing::enter(name, session);
    let _limited = Limited::begin(session);
    let Some(rule) = active(name) else { return call() };
    std::thread::sleep(rule.delay);
    match rule.effect {
        Effect::Before(rv) => rv,
        Effect::Hang => {
            rules::hang();
            call()
        }
        Effect::Kill => unsafe { libc::kill(libc::getpid(), libc::SIGKILL) as CK_RV },
        Effect::LogOut => {
            if let Some(session) = session {
                unsafe { real().C_Logout.unwrap()(session) };
            }
            call()
        }
        Effect::Poison => {
            if passing.poison() {
                CKR_OPERATION_ACTIVE
            } else {
                call()
            }
        }
        Effect::After(lost) => {
            let rv = call();
            after(&rule);
            if rv == CKR_OK { lost } else { rv }
        }
        Effect::KillAfter => {
            call();
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) as CK_RV }
        }
        Effect::Capacity(most) if name == "C_OpenSession" && guard::open() as u64 >= most => {
            CKR_SESSION_COUNT
        }
        Effect::Renumber => {
            handles::renumber();
            call()
        }
        Effect::None
        | Effect::Capacity(_)
        | Effect::Refuse(_)
        | Effect::Flip
        | Effect::Length(_)
        | Effect::Swap
        | Effect::Fill(_)
        | Effect::Hits(_) => {
            let rv = call();
            after(&rule);
            rv
        }
        Effect::Forgive => {
            if call() != CKR_OK {
                after(&rule);
            }
            CKR_OK
        }
        Effect::OwnIv => call(),
    }
}

/// What happens to bytes that the module gave out.
unsafe fn spoil(rule: &Rule, bytes: *mut CK_BYTE, length: *mut CK_ULONG) {
    use std::sync::Mutex;
    static LAST: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    if bytes.is_null() || length.is_null() {
        return;
    }
    unsafe {
        let given = std::slice::from_raw_parts_mut(bytes, *length as usize);
        match rule.effect {
            Effect::Flip => given[given.len() - 1] ^= 1,
            Effect::Fill(byte) => given.fill(byte),
            Effect::Length(other) => *length = other,
            Effect::Forgive => *length = 32,
            Effect::Swap => {
                let mut last = LAST.lock().unwrap();
                let own = given.to_vec();
                if last.len() == own.len() {
                    given.copy_from_slice(&last);
                }
                *last = own;
            }
            _ => {}
        }
    }
}

macro_rules! plain {
    ($($name:ident($session:ident $(, $arg:ident: $type:ty)*);)*) => {$(
        unsafe extern "C" fn $name($session: CK_SESSION_HANDLE $(, $arg: $type)*) -> CK_RV {
            through(stringify!($name), Some($session), || unsafe { real().$name.unwrap()($session $(, $arg)*) }, |_| {})
        }
    )*};
}

plain! {
    C_GetSessionInfo(s, info: CK_SESSION_INFO_PTR);
    C_Logout(s);
    C_FindObjectsFinal(s);
    C_InitPIN(s, pin: CK_UTF8CHAR_PTR, n: CK_ULONG);
}

unsafe extern "C" fn C_Initialize(arguments: CK_VOID_PTR) -> CK_RV {
    guard::initialised();
    devices::initialised();
    limits::initialised();
    through("C_Initialize", None, || unsafe { answers::initialize(arguments) }, |_| {})
}

unsafe extern "C" fn C_Finalize(reserved: CK_VOID_PTR) -> CK_RV {
    let rv = through("C_Finalize", None, || unsafe { real().C_Finalize.unwrap()(reserved) }, |_| {});
    guard::finalised();
    rv
}

unsafe extern "C" fn C_GetSlotList(present: CK_BBOOL, slots: CK_SLOT_ID_PTR, n: CK_ULONG_PTR) -> CK_RV {
    through("C_GetSlotList", None, || unsafe { real().C_GetSlotList.unwrap()(present, slots, n) }, |_| {})
}

unsafe extern "C" fn C_GetTokenInfo(slot: CK_SLOT_ID, info: CK_TOKEN_INFO_PTR) -> CK_RV {
    let flags = |rule: &Rule| {
        if let Effect::Fill(which) = rule.effect {
            unsafe { (*info).flags |= if which == 1 { CKF_USER_PIN_FINAL_TRY } else { CKF_USER_PIN_LOCKED } };
        }
    };
    let call = || unsafe {
        let rv = real().C_GetTokenInfo.unwrap()(slot, info);
        if rv == CKR_OK {
            answers::token_info(info);
        }
        rv
    };
    through("C_GetTokenInfo", None, call, flags)
}

unsafe extern "C" fn C_OpenSession(
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    application: CK_VOID_PTR,
    notify: CK_NOTIFY,
    session: CK_SESSION_HANDLE_PTR,
) -> CK_RV {
    let call = || unsafe { real().C_OpenSession.unwrap()(slot, flags, application, notify, session) };
    let rv = through("C_OpenSession", None, call, |_| {});
    if rv == CKR_OK {
        guard::opened(unsafe { *session });
        limits::opened(unsafe { *session });
    }
    rv
}

unsafe extern "C" fn C_CloseSession(session: CK_SESSION_HANDLE) -> CK_RV {
    let rv = through(
        "C_CloseSession",
        Some(session),
        || unsafe { real().C_CloseSession.unwrap()(session) },
        |_| {},
    );
    guard::closed(session);
    limits::closed(session);
    rv
}

unsafe extern "C" fn C_Login(
    s: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: CK_UTF8CHAR_PTR,
    n: CK_ULONG,
) -> CK_RV {
    guard::login();
    through("C_Login", Some(s), || unsafe { real().C_Login.unwrap()(s, user, pin, n) }, |_| {})
}

unsafe extern "C" fn C_GetAttributeValue(
    s: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: CK_ATTRIBUTE_PTR,
    n: CK_ULONG,
) -> CK_RV {
    let call = || unsafe {
        let rv = real().C_GetAttributeValue.unwrap()(s, handles::inward(object), template, n);
        answers::attributes(template, n);
        rv
    };
    through("C_GetAttributeValue", Some(s), call, |rule| unsafe {
        let last = template.add(n as usize - 1);
        spoil(rule, (*last).pValue.cast(), &raw mut (*last).ulValueLen);
    })
}

unsafe extern "C" fn C_FindObjectsInit(s: CK_SESSION_HANDLE, t: CK_ATTRIBUTE_PTR, n: CK_ULONG) -> CK_RV {
    let call = || unsafe { data_objects::find_init(s, t, n) };
    through("C_FindObjectsInit", Some(s), call, |_| {})
}

unsafe extern "C" fn C_FindObjects(
    s: CK_SESSION_HANDLE,
    found: CK_OBJECT_HANDLE_PTR,
    size: CK_ULONG,
    n: CK_ULONG_PTR,
) -> CK_RV {
    let call = || unsafe {
        let rv = real().C_FindObjects.unwrap()(s, found, size, n);
        if rv == CKR_OK {
            let found = std::slice::from_raw_parts_mut(found, *n as usize);
            found.iter_mut().for_each(|handle| *handle = handles::outward(*handle));
        }
        rv
    };
    through("C_FindObjects", Some(s), call, |rule| unsafe {
        match rule.effect {
            Effect::Hits(0) => *n = 0,
            Effect::Hits(_) if *n > 0 => {
                *found.add(1) = *found;
                *n = 2;
            }
            _ => {}
        }
    })
}

unsafe extern "C" fn C_EncryptInit(
    s: CK_SESSION_HANDLE,
    m: CK_MECHANISM_PTR,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    if active("own_iv").is_some() {
        unsafe {
            let parameters = (*m).pParameter.cast::<CK_GCM_PARAMS>();
            let iv = std::slice::from_raw_parts_mut((*parameters).pIv, (*parameters).ulIvLen as usize);
            iv.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(5).wrapping_add(77));
        }
    }
    let call = || unsafe {
        if devices::hides(s, key) {
            return CKR_OBJECT_HANDLE_INVALID;
        }
        devices::encrypt_init(s, m, key)
            .unwrap_or_else(|| real().C_EncryptInit.unwrap()(s, m, handles::inward(key)))
    };
    through("C_EncryptInit", Some(s), call, |_| {})
}

macro_rules! spoiled {
    ($($name:ident by $device:ident;)*) => {$(
        unsafe extern "C" fn $name(
            s: CK_SESSION_HANDLE,
            data: CK_BYTE_PTR,
            size: CK_ULONG,
            out: CK_BYTE_PTR,
            n: CK_ULONG_PTR,
        ) -> CK_RV {
            let call = || unsafe { devices::$device(s, data, size, out, n) };
            through(stringify!($name), Some(s), call, |rule| unsafe { spoil(rule, out, n) })
        }
    )*};
}

spoiled! { C_Encrypt by encrypt; C_Decrypt by decrypt; C_Sign by sign; }

unsafe extern "C" fn C_GenerateRandom(s: CK_SESSION_HANDLE, out: CK_BYTE_PTR, n: CK_ULONG) -> CK_RV {
    let mut length = n;
    let call = || unsafe { real().C_GenerateRandom.unwrap()(s, out, n) };
    through("C_GenerateRandom", Some(s), call, |rule| unsafe { spoil(rule, out, &raw mut length) })
}

/// The one function that is exported: the real module's list with the functions above in it.
///
/// # Safety
/// As the standard has it: `list` points to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    struct List(std::cell::UnsafeCell<CK_FUNCTION_LIST>);
    unsafe impl Send for List {}
    unsafe impl Sync for List {}
    static LIST: OnceLock<List> = OnceLock::new();
    macro_rules! replaced {
        ($($name:ident)*) => { CK_FUNCTION_LIST { $($name: Some($name),)* ..*real() } };
    }
    let ours = LIST.get_or_init(|| {
        List(std::cell::UnsafeCell::new(replaced! {
            C_Initialize C_Finalize C_GetSlotList C_GetTokenInfo C_OpenSession C_CloseSession C_GetSessionInfo C_Login
            C_Logout C_GenerateKey C_GenerateKeyPair C_CreateObject C_CopyObject C_DestroyObject C_GetAttributeValue C_FindObjectsInit
            C_FindObjects C_FindObjectsFinal C_SignInit C_Sign C_EncryptInit C_Encrypt C_DecryptInit C_Decrypt C_GenerateRandom C_InitPIN
        }))
    });
    unsafe { *list = ours.0.get() };
    CKR_OK
}
