//! The module's functions that carry a secret: login, PINs, ciphers, MACs and random bytes, straight between the module and the
//! caller's guarded memory. No copy is made on this side. Not for what carries no secret: `functions`.
//!
//! One function of the standard each; `Session` and `Module` call them under the check of the generation.
#![allow(unsafe_code)] // the foreign function interface

use std::marker::PhantomData;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::ObjectHandle;
use cryptoki::slot::Slot;
use cryptoki_sys::*;

use super::error::{Function, TokenError};
use super::kinds::{KeyWrap, Role};
use super::library::{Library, checked, checked_length};

/// Length of the tag, bytes.
pub(crate) const TAG_LEN: usize = 16;
/// Length of the initialisation vector, bytes.
pub(crate) const IV_LEN: usize = 12;

/// Which mechanism AES-GCM is asked for by.
#[derive(Clone, Copy)]
pub(crate) enum GcmMechanism {
    /// CKM_AES_GCM.
    Standard,
    /// CKM_CLOUDHSM_AES_GCM (AWS CloudHSM Client SDK 5, `cloudhsm_pkcs11_vendor_defs.h`).
    CloudHsm,
    /// CKM_CLOUDKMS_AES_GCM (Google kms-integrations, `kmsp11.h`).
    CloudKms,
}

impl GcmMechanism {
    const fn number(self) -> CK_MECHANISM_TYPE {
        match self {
            Self::Standard => CKM_AES_GCM,
            Self::CloudHsm => CKM_VENDOR_DEFINED | CKM_AES_GCM,
            Self::CloudKms => CKM_VENDOR_DEFINED | 0x1e101,
        }
    }
}

/// One encryption or decryption.
pub(super) enum Cipher<'a> {
    Gcm(Gcm<'a>),
    KeyWrap(KeyWrap),
    Standard(&'a Mechanism<'a>),
}

impl Cipher<'_> {
    fn mechanism(&mut self) -> CK_MECHANISM {
        let mechanism = match self {
            Self::Gcm(gcm) => return gcm.mechanism(),
            Self::Standard(mechanism) => return (*mechanism).into(),
            Self::KeyWrap(KeyWrap::Rfc3394) => CKM_AES_KEY_WRAP,
            // Of PKCS#11 3.1: `cryptoki_sys` does not name it.
            Self::KeyWrap(KeyWrap::Rfc5649) => 0x210b,
        };
        CK_MECHANISM { mechanism, pParameter: std::ptr::null_mut(), ulParameterLen: 0 }
    }
}

/// One AES-GCM operation (PKCS#11 2.40 errata layout, with `ulIvBits`). It borrows IV and AAD, and must live until the
/// operation has ended: kmsp11 writes the IV during C_Encrypt.
pub(super) struct Gcm<'a> {
    mechanism: GcmMechanism,
    parameters: CK_GCM_PARAMS,
    _borrowed: PhantomData<&'a mut [u8]>,
}

impl<'a> Gcm<'a> {
    /// A token that insists on a vector of its own may leave it in `iv`. An empty one is given as a null pointer.
    pub(super) fn encryption(mechanism: GcmMechanism, iv: &'a mut [u8], aad: &'a [u8]) -> Self {
        Self::new(mechanism, iv.as_mut_ptr(), iv.len(), aad)
    }

    /// The module only reads `iv`.
    pub(super) fn decryption(mechanism: GcmMechanism, iv: &'a [u8], aad: &'a [u8]) -> Self {
        Self::new(mechanism, iv.as_ptr().cast_mut(), iv.len(), aad)
    }

    fn new(mechanism: GcmMechanism, iv: *mut u8, iv_length: usize, aad: &'a [u8]) -> Self {
        let parameters = CK_GCM_PARAMS {
            pIv: if iv_length == 0 { std::ptr::null_mut() } else { iv },
            ulIvLen: iv_length as CK_ULONG,
            ulIvBits: 8 * iv_length as CK_ULONG,
            pAAD: aad.as_ptr().cast_mut(),
            ulAADLen: aad.len() as CK_ULONG,
            ulTagBits: 8 * TAG_LEN as CK_ULONG,
        };
        Self { mechanism, parameters, _borrowed: PhantomData }
    }

    fn mechanism(&mut self) -> CK_MECHANISM {
        CK_MECHANISM {
            mechanism: self.mechanism.number(),
            pParameter: (&raw mut self.parameters).cast(),
            ulParameterLen: size_of::<CK_GCM_PARAMS>() as CK_ULONG,
        }
    }
}

impl Library {
    /// C_InitToken: destroys everything in the slot's token and names it.
    pub(super) fn init_token(&self, slot: Slot, so_pin: &[u8], label: &[u8; 32]) -> Result<(), TokenError> {
        let (pin, length, label) = (so_pin.as_ptr().cast_mut(), so_pin.len() as CK_ULONG, label.as_ptr());
        // SAFETY: the module only reads the PIN and the 32 bytes of the label.
        let rv = self.list.C_InitToken.map(|f| unsafe { f(slot.into(), pin, length, label.cast_mut()) });
        checked(Function::InitToken, rv)
    }

    /// C_Login.
    pub(super) fn login(&self, session: CK_SESSION_HANDLE, role: Role, pin: &[u8]) -> Result<(), TokenError> {
        let user = match role {
            Role::User => CKU_USER,
            Role::SecurityOfficer => CKU_SO,
        };
        let (pin, length) = (pin.as_ptr().cast_mut(), pin.len() as CK_ULONG);
        // SAFETY: the module only reads the PIN's bytes.
        let rv = self.list.C_Login.map(|f| unsafe { f(session, user, pin, length) });
        checked(Function::Login, rv)
    }

    /// C_InitPIN, as security officer.
    pub(super) fn init_pin(&self, session: CK_SESSION_HANDLE, pin: &[u8]) -> Result<(), TokenError> {
        let (pin, length) = (pin.as_ptr().cast_mut(), pin.len() as CK_ULONG);
        // SAFETY: the module only reads the PIN's bytes.
        let rv = self.list.C_InitPIN.map(|f| unsafe { f(session, pin, length) });
        checked(Function::InitPIN, rv)
    }

    /// C_EncryptInit.
    pub(super) fn encrypt_init(
        &self,
        session: CK_SESSION_HANDLE,
        key: ObjectHandle,
        cipher: &mut Cipher<'_>,
    ) -> Result<(), TokenError> {
        begin(Function::EncryptInit, self.list.C_EncryptInit, session, cipher.mechanism(), key)
    }

    /// C_Encrypt; gives the length written.
    pub(super) fn encrypt(
        &self,
        session: CK_SESSION_HANDLE,
        plain: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        transform(Function::Encrypt, self.list.C_Encrypt, session, plain, out)
    }

    /// C_DecryptInit.
    pub(super) fn decrypt_init(
        &self,
        session: CK_SESSION_HANDLE,
        key: ObjectHandle,
        cipher: &mut Cipher<'_>,
    ) -> Result<(), TokenError> {
        begin(Function::DecryptInit, self.list.C_DecryptInit, session, cipher.mechanism(), key)
    }

    /// C_Decrypt; gives the length that the module reports. On an error `out` may hold plaintext all the same.
    pub(super) fn decrypt(
        &self,
        session: CK_SESSION_HANDLE,
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        transform(Function::Decrypt, self.list.C_Decrypt, session, sealed, out)
    }

    /// C_SignInit for HMAC-SHA-256.
    pub(super) fn mac_init(&self, session: CK_SESSION_HANDLE, key: ObjectHandle) -> Result<(), TokenError> {
        let mechanism =
            CK_MECHANISM { mechanism: CKM_SHA256_HMAC, pParameter: std::ptr::null_mut(), ulParameterLen: 0 };
        begin(Function::SignInit, self.list.C_SignInit, session, mechanism, key)
    }

    /// C_Sign; gives the length that the module reports. On an error `out` may hold the MAC all the same.
    pub(super) fn mac(
        &self,
        session: CK_SESSION_HANDLE,
        text: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        transform(Function::Sign, self.list.C_Sign, session, text, out)
    }

    /// C_SignInit and C_Sign of a public text, into `out`; gives the length of the signature.
    pub(super) fn sign(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism<'_>,
        key: ObjectHandle,
        text: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        begin(Function::SignInit, self.list.C_SignInit, session, mechanism.into(), key)?;
        transform(Function::Sign, self.list.C_Sign, session, text, out)
    }

    /// C_GenerateRandom.
    pub(super) fn generate_random(
        &self,
        session: CK_SESSION_HANDLE,
        out: &mut [u8],
    ) -> Result<(), TokenError> {
        let length = out.len() as CK_ULONG;
        // SAFETY: pointer and length of one buffer that outlives the call.
        let rv = self.list.C_GenerateRandom.map(|f| unsafe { f(session, out.as_mut_ptr(), length) });
        checked(Function::GenerateRandom, rv)
    }
}

/// C_EncryptInit, C_DecryptInit or C_SignInit. The caller keeps parameters, IV and AAD of the mechanism alive, and lets
/// the module write the IV.
fn begin(
    function: Function,
    call: CK_C_EncryptInit,
    session: CK_SESSION_HANDLE,
    mut mechanism: CK_MECHANISM,
    key: ObjectHandle,
) -> Result<(), TokenError> {
    // SAFETY: the mechanism outlives the call, and what it points to is borrowed by the caller's `Cipher`.
    let rv = call.map(|f| unsafe { f(session, &raw mut mechanism, key.handle()) });
    checked(function, rv)
}

/// C_Encrypt, C_Decrypt or C_Sign in one call: no size query, and the whole buffer, so that no module finds it too short.
fn transform(
    function: Function,
    call: CK_C_Encrypt,
    session: CK_SESSION_HANDLE,
    data: &[u8],
    out: &mut [u8],
) -> Result<usize, TokenError> {
    let (data, size) = (data.as_ptr().cast_mut(), data.len() as CK_ULONG);
    let mut length = out.len() as CK_ULONG;
    // SAFETY: `length` is the size of `out`; the module only reads `data`.
    let rv = call.map(|f| unsafe { f(session, data, size, out.as_mut_ptr(), &raw mut length) });
    checked(function, rv)?;
    checked_length(function, length, out.len())
}
