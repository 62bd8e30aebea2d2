//! The loaded library: its one function list, and the functions that need no session. Not for when they may be called:
//! `Module`; nor for what carries a secret: `secret`.
//!
//! One list, because a module may make each that it gives a client of its own: two lists of p11-kit's are two
//! connections, and neither knows the sessions of the other. So the crate `cryptoki`, which keeps its list to itself,
//! serves for types alone.
#![allow(unsafe_code)] // the foreign function interface

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Info};
use cryptoki::error::{Rv, RvError};
use cryptoki::mechanism::{MechanismInfo, MechanismType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki_sys::*;

use super::error::{Cause, Function, ReturnCode, TokenError};

/// More slots than any machine has.
const MOST_SLOTS: CK_ULONG = 4096;
/// How often the slots are read again because their number has grown.
const TRIES: usize = 3;

/// The functions of a loaded module.
pub(super) struct Library {
    pub(super) list: CK_FUNCTION_LIST,
}

impl Library {
    /// Loads the library for as long as the process lives: modules leave exit handlers and thread-local destructors.
    pub(super) fn load(path: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        // SAFETY: loading runs the library's constructors; which library is the operator's decision.
        let loaded = unsafe { Pkcs11::new(path) }?;
        let mut list: *mut CK_FUNCTION_LIST = std::ptr::null_mut();
        let answer = match &loaded.C_GetFunctionList {
            // SAFETY: the symbol has this signature by the standard, and `list` outlives the call.
            Ok(get) => unsafe { get(&raw mut list) },
            Err(_) => return Err("it exports no C_GetFunctionList".into()),
        };
        std::mem::forget(loaded);
        if let Rv::Error(code) = Rv::from(answer) {
            return Err(format!("C_GetFunctionList answered {}", ReturnCode(code)).into());
        }
        if list.is_null() {
            return Err("C_GetFunctionList gave no list".into());
        }
        // SAFETY: not null, and by the standard it points to a list that lives as long as the module.
        Ok(Self { list: unsafe { list.read_unaligned() } })
    }

    /// C_Initialize with the module's own locking, and the text that configures the module, where it wants one.
    pub(super) fn initialize(&self, text: Option<&std::ffi::CStr>) -> Result<(), TokenError> {
        let text = text.map_or(std::ptr::null_mut(), |text| text.as_ptr().cast_mut());
        let locking = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK).into();
        let mut arguments = CK_C_INITIALIZE_ARGS { pReserved: text.cast(), ..locking };
        // SAFETY: the arguments outlive the call, and the module only reads the text.
        let rv = self.list.C_Initialize.map(|f| unsafe { f((&raw mut arguments).cast()) });
        checked(Function::Initialize, rv)
    }

    /// C_Finalize.
    pub(super) fn finalize(&self) -> Result<(), TokenError> {
        // SAFETY: the standard reserves the argument, which must be null.
        checked(Function::Finalize, self.list.C_Finalize.map(|f| unsafe { f(std::ptr::null_mut()) }))
    }

    /// C_GetInfo.
    pub(super) fn info(&self) -> Result<Info, TokenError> {
        let mut info = CK_INFO::default();
        // SAFETY: the module fills the structure, which outlives the call.
        checked(Function::GetInfo, self.list.C_GetInfo.map(|f| unsafe { f(&raw mut info) }))?;
        Info::try_from(info).map_err(|_| TokenError::nonstandard(Function::GetInfo))
    }

    /// C_GetSlotList of the slots that hold a token.
    pub(super) fn slots(&self) -> Result<Vec<Slot>, TokenError> {
        let mut slots = Vec::new();
        for _ in 0..TRIES {
            let mut count = 0;
            self.slot_list(None, &mut count)?;
            slots.resize(checked_length(Function::GetSlotList, count, MOST_SLOTS as usize)?, 0);
            match self.slot_list(Some(&mut slots), &mut count) {
                // One more came in between.
                Err(error) if error.code() == Some(RvError::BufferTooSmall) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    slots.truncate(checked_length(Function::GetSlotList, count, slots.len())?);
                    let slot = |slot| {
                        Slot::try_from(slot).map_err(|_| TokenError::nonstandard(Function::GetSlotList))
                    };
                    return slots.into_iter().map(slot).collect();
                }
            }
        }
        Err(TokenError::protocol_violation(Function::GetSlotList, "the number of slots grows with each call"))
    }

    /// Without `slots` it only counts.
    fn slot_list(&self, slots: Option<&mut Vec<CK_SLOT_ID>>, count: &mut CK_ULONG) -> Result<(), TokenError> {
        let slots = slots.map_or(std::ptr::null_mut(), |slots| {
            *count = slots.len() as CK_ULONG;
            slots.as_mut_ptr()
        });
        // SAFETY: `slots` is null or has space for `count` numbers.
        let rv = self.list.C_GetSlotList.map(|f| unsafe { f(CK_TRUE, slots, count) });
        checked(Function::GetSlotList, rv)
    }

    /// C_GetTokenInfo without the token's clock: `cryptoki` refuses a token whose clock is in another form than the
    /// standard's, as that of opencryptoki 3.8.1 is.
    pub(super) fn token_info(&self, slot: Slot) -> Result<TokenInfo, TokenError> {
        let mut info = CK_TOKEN_INFO::default();
        // SAFETY: the module fills the structure, which outlives the call.
        let rv = self.list.C_GetTokenInfo.map(|f| unsafe { f(slot.into(), &raw mut info) });
        checked(Function::GetTokenInfo, rv)?;
        info.flags &= !CKF_CLOCK_ON_TOKEN;
        TokenInfo::try_from(info).map_err(|_| TokenError::nonstandard(Function::GetTokenInfo))
    }

    /// C_GetMechanismInfo.
    pub(super) fn mechanism_info(
        &self,
        slot: Slot,
        kind: MechanismType,
    ) -> Result<MechanismInfo, TokenError> {
        let mut info = CK_MECHANISM_INFO::default();
        // SAFETY: the module fills the structure, which outlives the call.
        let rv = self.list.C_GetMechanismInfo.map(|f| unsafe { f(slot.into(), kind.into(), &raw mut info) });
        checked(Function::GetMechanismInfo, rv)?;
        Ok(info.into())
    }
}

/// What the module answered; none where it has no such function.
pub(super) fn checked(function: Function, rv: Option<CK_RV>) -> Result<(), TokenError> {
    match rv.map(Rv::from) {
        Some(Rv::Ok) => Ok(()),
        Some(Rv::Error(code)) => Err(TokenError { function, cause: Cause::Refused(ReturnCode(code)) }),
        None => Err(TokenError { function, cause: Cause::Unsupported }),
    }
}

/// The length that the module reports, which must fit the buffer that it was given.
pub(super) fn checked_length(function: Function, length: CK_ULONG, size: usize) -> Result<usize, TokenError> {
    let length = usize::try_from(length).ok().filter(|length| *length <= size);
    length.ok_or(TokenError::protocol_violation(function, "its output is longer than the buffer"))
}
