//! The module's function list behind a gate: no call reaches the module outside C_Initialize…C_Finalize, and no
//! handle of an earlier initialisation is ever used in a later one. Not for meaning: only shapes and lengths.

use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, TryLockError};
use std::time::{Duration, Instant};

use cryptoki_sys::*;

use super::error::{Call, Code, TokenError};
use crate::telemetry;

/// Number of a C_Initialize; handles remember theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u64);

struct Gate {
    generation: Generation,
    initialised: bool,
    /// C_Finalize was refused: the module may still be initialised, by us.
    leftover: bool,
}

/// A loaded module. Never unloaded: libraries leave exit handlers and thread-local destructors behind.
pub(crate) struct Library {
    functions: CK_FUNCTION_LIST,
    _loaded: ManuallyDrop<Pkcs11>,
    gate: RwLock<Gate>,
}

// SAFETY: the function list is a table of plain function pointers, and the module is initialised with
// CKF_OS_LOCKING_OK, so its functions may be called from any thread.
unsafe impl Send for Library {}
// SAFETY: as above; sessions, which must not be shared, are `Session` values and not `Sync`.
unsafe impl Sync for Library {}

/// The mechanisms that scheme S1 needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    AesKeyGen,
    AesGcm,
}

/// What is said of a token in a slot.
#[derive(Clone, Debug)]
pub(crate) struct TokenInfo {
    pub(crate) slot: CK_SLOT_ID,
    pub(crate) label: String,
    pub(crate) serial: String,
    pub(crate) flags: CK_FLAGS,
    /// Sessions in all, then read-write ones: open, and how many there may be.
    pub(crate) sessions: [(CK_ULONG, CK_ULONG); 2],
}

impl TokenInfo {
    pub(crate) fn has(&self, flag: CK_FLAGS) -> bool {
        self.flags & flag != 0
    }
}

impl Library {
    /// Loads the module and takes its function list; initialises nothing.
    pub(crate) fn load(path: &Path) -> Result<Arc<Self>, Box<dyn std::error::Error + Send + Sync>> {
        // SAFETY: loading runs the library's constructors; which library is the operator's decision.
        let loaded = unsafe { Pkcs11::new(path) }?;
        let get = match &loaded.C_GetFunctionList {
            Ok(get) => *get,
            Err(_) => return Err("it exports no C_GetFunctionList".into()),
        };
        let mut list: *mut CK_FUNCTION_LIST = std::ptr::null_mut();
        // SAFETY: the symbol has this signature by the standard, and `list` outlives the call.
        let rv = unsafe { get(&raw mut list) };
        if rv != CKR_OK || list.is_null() {
            return Err(format!("C_GetFunctionList answered {}", Code(rv)).into());
        }
        // SAFETY: not null, and by the standard it points to a list that lives as long as the module.
        let functions = unsafe { list.read_unaligned() };
        let gate = RwLock::new(Gate { generation: Generation(0), initialised: false, leftover: false });
        Ok(Arc::new(Self { functions, _loaded: ManuallyDrop::new(loaded), gate }))
    }

    /// Runs one call of the module if `generation` is the current one, and names it in the error.
    pub(crate) fn invoke(
        &self,
        generation: Generation,
        call: Call,
        body: impl FnOnce(&CK_FUNCTION_LIST) -> Option<CK_RV>,
    ) -> Result<(), TokenError> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        if !gate.initialised || gate.generation != generation {
            return Err(TokenError { call, code: Code(CKR_CRYPTOKI_NOT_INITIALIZED) });
        }
        let begun = Instant::now();
        let result = result(call, body(&self.functions));
        telemetry::called(call, result, begun);
        result
    }

    /// C_Initialize with the module's own locking.
    pub(crate) fn initialise(&self) -> Result<Generation, TokenError> {
        let mut gate = self.alone(Call::Initialize, Duration::ZERO)?;
        let mut arguments = CK_C_INITIALIZE_ARGS { flags: CKF_OS_LOCKING_OK, ..Default::default() };
        let mut body = |list: &CK_FUNCTION_LIST| {
            // SAFETY: `arguments` outlives the call; no mutex callbacks are given.
            Some(unsafe { list.C_Initialize?((&raw mut arguments).cast()) })
        };
        let mut answer = body(&self.functions);
        if gate.leftover && answer == Some(CKR_CRYPTOKI_ALREADY_INITIALIZED) {
            self.finalise_alone()?;
            answer = body(&self.functions);
        }
        result(Call::Initialize, answer)?;
        gate.leftover = false;
        gate.generation = Generation(gate.generation.0 + 1);
        gate.initialised = true;
        Ok(gate.generation)
    }

    /// C_Finalize, once no thread is inside the module; gives up after `patience`.
    pub(crate) fn finalise(&self, patience: Duration) -> Result<(), TokenError> {
        let mut gate = self.alone(Call::Finalize, patience)?;
        if !gate.initialised {
            return Ok(());
        }
        gate.initialised = false;
        self.finalise_alone().inspect_err(|_| gate.leftover = true)
    }

    fn finalise_alone(&self) -> Result<(), TokenError> {
        let body = |list: &CK_FUNCTION_LIST| {
            // SAFETY: both callers hold the write half of the gate: no other thread is in the module.
            Some(unsafe { list.C_Finalize?(std::ptr::null_mut()) })
        };
        result(Call::Finalize, body(&self.functions))
    }

    /// The gate with no thread inside; a call that hangs keeps it shut, so waiting has an end.
    fn alone(&self, call: Call, patience: Duration) -> Result<RwLockWriteGuard<'_, Gate>, TokenError> {
        let give_up = Instant::now() + patience;
        loop {
            match self.gate.try_write() {
                Ok(gate) => return Ok(gate),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(TokenError { call, code: Code(CKR_OPERATION_ACTIVE) });
                }
            }
        }
    }

    /// Every slot that holds a token, with what is said of it.
    pub(crate) fn tokens(&self, generation: Generation) -> Result<Vec<TokenInfo>, TokenError> {
        let mut slots = [0; 256];
        let mut count = slots.len() as CK_ULONG;
        self.invoke(generation, Call::GetSlotList, |list| {
            // SAFETY: `count` says how many entries `slots` has room for.
            Some(unsafe { list.C_GetSlotList?(CK_TRUE, slots.as_mut_ptr(), &raw mut count) })
        })?;
        let known = slots.iter().take(usize::try_from(count).unwrap_or(0));
        // A slot whose token cannot be read is skipped: another token's trouble must not hide ours.
        Ok(known.filter_map(|slot| self.token_info(generation, *slot).ok()).collect())
    }

    fn token_info(&self, generation: Generation, slot: CK_SLOT_ID) -> Result<TokenInfo, TokenError> {
        let mut info = CK_TOKEN_INFO::default();
        self.invoke(generation, Call::GetTokenInfo, |list| {
            // SAFETY: `info` outlives the call and has the standard's layout.
            Some(unsafe { list.C_GetTokenInfo?(slot, &raw mut info) })
        })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Ok(TokenInfo {
            slot,
            label: text(&info.label),
            serial: text(&info.serialNumber),
            flags: info.flags,
            sessions: [
                (info.ulSessionCount, info.ulMaxSessionCount),
                (info.ulRwSessionCount, info.ulMaxRwSessionCount),
            ],
        })
    }

    /// What the module says of itself.
    pub(crate) fn description(&self, generation: Generation) -> Result<String, TokenError> {
        let mut info = CK_INFO::default();
        self.invoke(generation, Call::GetInfo, |list| {
            // SAFETY: `info` outlives the call and has the standard's layout.
            Some(unsafe { list.C_GetInfo?(&raw mut info) })
        })?;
        let name = String::from_utf8_lossy(&info.libraryDescription);
        let (own, standard) = (info.libraryVersion, info.cryptokiVersion);
        Ok(format!(
            "{} {}.{}, PKCS#11 {}.{}",
            name.trim_end(),
            own.major,
            own.minor,
            standard.major,
            standard.minor
        ))
    }

    /// What the module claims of a mechanism.
    pub(crate) fn mechanism_flags(
        &self,
        generation: Generation,
        slot: CK_SLOT_ID,
        mechanism: Mechanism,
    ) -> Result<CK_FLAGS, TokenError> {
        let mut info = CK_MECHANISM_INFO::default();
        let kind = match mechanism {
            Mechanism::AesKeyGen => CKM_AES_KEY_GEN,
            Mechanism::AesGcm => CKM_AES_GCM,
        };
        self.invoke(generation, Call::GetMechanismInfo, |list| {
            // SAFETY: `info` outlives the call and has the standard's layout.
            Some(unsafe { list.C_GetMechanismInfo?(slot, kind, &raw mut info) })
        })?;
        Ok(info.flags)
    }

    /// C_InitToken: destroys everything in the slot's token and names it.
    pub(crate) fn init_token(
        &self,
        generation: Generation,
        slot: CK_SLOT_ID,
        so_pin: &[u8],
        label: &[u8; 32],
    ) -> Result<(), TokenError> {
        self.invoke(generation, Call::InitToken, |list| {
            let (pin, length) = (so_pin.as_ptr().cast_mut(), so_pin.len() as CK_ULONG);
            // SAFETY: the module only reads the PIN and the 32 bytes of the label.
            Some(unsafe { list.C_InitToken?(slot, pin, length, label.as_ptr().cast_mut()) })
        })
    }
}

fn result(call: Call, rv: Option<CK_RV>) -> Result<(), TokenError> {
    match rv {
        Some(CKR_OK) => Ok(()),
        Some(rv) => Err(TokenError { call, code: Code(rv) }),
        None => Err(TokenError { call, code: Code(CKR_FUNCTION_NOT_SUPPORTED) }),
    }
}
