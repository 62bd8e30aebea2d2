//! The calls that carry a secret: login, PINs, AES-GCM and random bytes, straight between the module and the caller's
//! guarded memory. No copy is made on this side. Not for anything that `cryptoki` can do without a secret.
#![allow(unsafe_code)] // the foreign function interface; the only file of the crate that calls the module itself

use std::path::Path;

use cryptoki::error::Rv;
use cryptoki::object::ObjectHandle;
use cryptoki::slot::Slot;
use cryptoki_sys::*;

use super::error::{Cause, Function, ReturnCode, TokenError};
use super::module::{Generation, Module};
use super::session::Session;

/// Length of the tag, bytes.
pub(crate) const TAG_LEN: usize = 16;
/// Length of the initialisation vector, bytes.
pub(crate) const IV_LEN: usize = 12;

/// Whose PIN is presented.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    User,
    SecurityOfficer,
}

/// The module's functions that carry a secret.
pub(super) struct SecretFunctions {
    list: CK_FUNCTION_LIST,
}

impl SecretFunctions {
    /// The function list of the module that `cryptoki` has loaded from `path`; the loader gives the same library.
    pub(super) fn load(path: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        // SAFETY: loading runs the library's constructors; which library is the operator's decision.
        let loaded = unsafe { Pkcs11::new(path) }?;
        let mut list: *mut CK_FUNCTION_LIST = std::ptr::null_mut();
        let answer = match &loaded.C_GetFunctionList {
            // SAFETY: the symbol has this signature by the standard, and `list` outlives the call.
            Ok(get) => unsafe { get(&raw mut list) },
            Err(_) => return Err("it exports no C_GetFunctionList".into()),
        };
        if let Rv::Error(code) = Rv::from(answer) {
            return Err(format!("C_GetFunctionList answered {}", ReturnCode(code)).into());
        }
        if list.is_null() {
            return Err("C_GetFunctionList gave no list".into());
        }
        // SAFETY: not null, and by the standard it points to a list that lives as long as the module.
        let list = unsafe { list.read_unaligned() };
        // Never unloaded, as in `Module`.
        std::mem::forget(loaded);
        Ok(Self { list })
    }
}

/// Parameters of one AES-GCM operation (PKCS#11 2.40 errata layout, with `ulIvBits`).
fn parameters(iv: *mut u8, aad: &[u8]) -> CK_GCM_PARAMS {
    CK_GCM_PARAMS {
        pIv: iv,
        ulIvLen: IV_LEN as CK_ULONG,
        ulIvBits: 8 * IV_LEN as CK_ULONG,
        pAAD: aad.as_ptr().cast_mut(),
        ulAADLen: aad.len() as CK_ULONG,
        ulTagBits: 8 * TAG_LEN as CK_ULONG,
    }
}

fn mechanism(parameters: &mut CK_GCM_PARAMS) -> CK_MECHANISM {
    CK_MECHANISM {
        mechanism: CKM_AES_GCM,
        pParameter: (&raw mut *parameters).cast(),
        ulParameterLen: size_of::<CK_GCM_PARAMS>() as CK_ULONG,
    }
}

impl Module {
    /// C_InitToken: destroys everything in the slot's token and names it.
    pub(crate) fn init_token(
        &self,
        generation: Generation,
        slot: Slot,
        so_pin: &[u8],
        label: &[u8; 32],
    ) -> Result<(), TokenError> {
        let slot = slot.into();
        self.guarded(generation, Function::InitToken, || {
            let (pin, length) = (so_pin.as_ptr().cast_mut(), so_pin.len() as CK_ULONG);
            let label = label.as_ptr().cast_mut();
            // SAFETY: the module only reads the PIN and the 32 bytes of the label.
            answer(
                Function::InitToken,
                self.secret.list.C_InitToken.map(|f| unsafe { f(slot, pin, length, label) }),
            )
        })
    }
}

impl Session {
    /// C_Login. The caller has looked at the token's flags: a module may count and lock.
    pub(crate) fn log_in(&self, role: Role, pin: &[u8]) -> Result<(), TokenError> {
        let user = match role {
            Role::User => CKU_USER,
            Role::SecurityOfficer => CKU_SO,
        };
        self.raw(Function::Login, |list, session| {
            let (pin, length) = (pin.as_ptr().cast_mut(), pin.len() as CK_ULONG);
            // SAFETY: the module only reads the PIN's bytes.
            list.C_Login.map(|f| unsafe { f(session, user, pin, length) })
        })
    }

    /// C_InitPIN, as security officer.
    pub(crate) fn init_pin(&self, pin: &[u8]) -> Result<(), TokenError> {
        self.raw(Function::InitPIN, |list, session| {
            let (pin, length) = (pin.as_ptr().cast_mut(), pin.len() as CK_ULONG);
            // SAFETY: the module only reads the PIN's bytes.
            list.C_InitPIN.map(|f| unsafe { f(session, pin, length) })
        })
    }

    /// Encrypts `plain` under `key` into `out`; gives the length written, ciphertext and tag.
    ///
    /// A token that insists on a vector of its own leaves it in `iv`.
    pub(crate) fn encrypt(
        &self,
        key: ObjectHandle,
        iv: &mut [u8; IV_LEN],
        aad: &[u8],
        plain: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        let mut parameters = parameters(iv.as_mut_ptr(), aad);
        let mut mechanism = mechanism(&mut parameters);
        self.raw(Function::EncryptInit, |list, session| {
            // SAFETY: mechanism, parameters, IV and AAD outlive the call; the IV may be written.
            list.C_EncryptInit.map(|f| unsafe { f(session, &raw mut mechanism, key.handle()) })
        })?;
        let mut length = out.len() as CK_ULONG;
        self.raw(Function::Encrypt, |list, session| {
            let (data, size) = (plain.as_ptr().cast_mut(), plain.len() as CK_ULONG);
            // SAFETY: `length` is the size of `out`; the module only reads `data`.
            list.C_Encrypt.map(|f| unsafe { f(session, data, size, out.as_mut_ptr(), &raw mut length) })
        })?;
        checked_length(Function::Encrypt, length, out.len())
    }

    /// Decrypts `sealed` under `key` straight into `out`; gives the length that the module claims to have written.
    ///
    /// On an error `out` may hold plaintext all the same (kryoptic leaves it there): the caller wipes.
    pub(crate) fn decrypt(
        &self,
        key: ObjectHandle,
        iv: &[u8; IV_LEN],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        let mut parameters = parameters(iv.as_ptr().cast_mut(), aad);
        let mut mechanism = mechanism(&mut parameters);
        self.raw(Function::DecryptInit, |list, session| {
            // SAFETY: mechanism, parameters, IV and AAD outlive the call; the module only reads them.
            list.C_DecryptInit.map(|f| unsafe { f(session, &raw mut mechanism, key.handle()) })
        })?;
        // One call with the whole page: no size query, and no module finds the buffer too short.
        let mut length = out.len() as CK_ULONG;
        self.raw(Function::Decrypt, |list, session| {
            let (data, size) = (sealed.as_ptr().cast_mut(), sealed.len() as CK_ULONG);
            // SAFETY: `length` is the size of `out`; the module only reads `data`.
            list.C_Decrypt.map(|f| unsafe { f(session, data, size, out.as_mut_ptr(), &raw mut length) })
        })?;
        checked_length(Function::Decrypt, length, out.len())
    }

    /// Fills `out` from the token's generator.
    pub(crate) fn random(&self, out: &mut [u8]) -> Result<(), TokenError> {
        self.raw(Function::GenerateRandom, |list, session| {
            // SAFETY: pointer and length of one buffer that outlives the call.
            list.C_GenerateRandom.map(|f| unsafe { f(session, out.as_mut_ptr(), out.len() as CK_ULONG) })
        })
    }

    /// Runs one function of the module on this session, unless the module was re-initialised since.
    fn raw(
        &self,
        function: Function,
        body: impl FnOnce(&CK_FUNCTION_LIST, CK_SESSION_HANDLE) -> Option<CK_RV>,
    ) -> Result<(), TokenError> {
        let session = self.session(function)?.handle();
        self.module
            .guarded(self.generation, function, || answer(function, body(&self.module.secret.list, session)))
    }
}

/// What the module answered; none where it has no such function.
fn answer(function: Function, rv: Option<CK_RV>) -> Result<(), TokenError> {
    match rv.map(Rv::from) {
        Some(Rv::Ok) => Ok(()),
        Some(Rv::Error(code)) => Err(TokenError { function, cause: Cause::Refused(ReturnCode(code)) }),
        None => Err(TokenError { function, cause: Cause::Unsupported }),
    }
}

/// The length that the module reports, which must fit the buffer that it was given.
fn checked_length(function: Function, length: CK_ULONG, room: usize) -> Result<usize, TokenError> {
    let length = usize::try_from(length).ok().filter(|length| *length <= room);
    length.ok_or(TokenError::protocol_violation(function, "its output is longer than the buffer"))
}
