//! What modules of some vendors demand of C_Initialize, and what they say of tokens and keys.
//!
//! - `wants_text slow`: C_Initialize without a text that begins with `configdir=` is refused, as NSS does
//!   (`lib/softoken/pkcs11.c`, `nsc_CommonInitialize`).
//! - `wants_variable slow`: C_Initialize fails unless the environment has `HSM_FAULTS_WANTED`, as a vendor's configuration.
//! - `not_local slow`: CKA_LOCAL is false of every key, as NSS says of keys that it made.
//! - `nul_padded slow`: label and serial number end with a NUL, and have rubbish behind it.
//! - `clock slow`: the token has a clock, and gives the time as `13:55:00` (opencryptoki 3.8.1).
//! - `unknown_counts slow`: the numbers of sessions are -2 (opencryptoki).

use std::ffi::CStr;

use cryptoki_sys::*;

use crate::real;
use crate::rules::active;

/// C_Initialize of the real module, unless a rule refuses it.
pub(crate) unsafe fn initialize(arguments: CK_VOID_PTR) -> CK_RV {
    let mut given = unsafe { *arguments.cast::<CK_C_INITIALIZE_ARGS>() };
    if active("wants_variable").is_some() && std::env::var_os("HSM_FAULTS_WANTED").is_none() {
        return CKR_GENERAL_ERROR;
    }
    if active("wants_text").is_some() {
        let text = given.pReserved.cast::<std::ffi::c_char>();
        if text.is_null() || !unsafe { CStr::from_ptr(text) }.to_bytes().starts_with(b"configdir=") {
            return CKR_ARGUMENTS_BAD;
        }
        // The real module takes none.
        given.pReserved = std::ptr::null_mut();
    }
    unsafe { real().C_Initialize.unwrap()((&raw mut given).cast()) }
}

/// C_GetTokenInfo has given this.
pub(crate) unsafe fn token_info(info: CK_TOKEN_INFO_PTR) {
    let info = unsafe { &mut *info };
    if active("clock").is_some() {
        info.flags |= CKF_CLOCK_ON_TOKEN;
        info.utcTime = *b"13:55:00        ";
    }
    if active("nul_padded").is_some() {
        for text in [&mut info.label[..], &mut info.serialNumber[..]] {
            let end = text.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
            text[end..].fill(0xfe);
            if let Some(after) = text.get_mut(end) {
                *after = 0;
            }
        }
    }
    if active("unknown_counts").is_some() {
        let unknown = CK_ULONG::MAX - 1;
        (info.ulSessionCount, info.ulRwSessionCount) = (unknown, unknown);
        (info.ulMaxSessionCount, info.ulMaxRwSessionCount) = (unknown, unknown);
    }
}

/// C_GetAttributeValue has given this.
pub(crate) unsafe fn attributes(template: CK_ATTRIBUTE_PTR, n: CK_ULONG) {
    if active("not_local").is_none() {
        return;
    }
    for attribute in unsafe { std::slice::from_raw_parts(template, n as usize) } {
        if attribute.type_ == CKA_LOCAL && attribute.ulValueLen == 1 && !attribute.pValue.is_null() {
            unsafe { *attribute.pValue.cast::<CK_BBOOL>() = CK_FALSE };
        }
    }
}
