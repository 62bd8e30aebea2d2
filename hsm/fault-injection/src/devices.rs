//! Devices that are not at hand, as their public documents describe them, over the real module. A rule names the device:
//! `device:NAME slow`. Beside it, `iv_zeros slow` and `iv_repeats slow` break the vectors that the device makes.
//!
//! - `aws_cloudhsm`: AES-GCM takes twelve zeros only and writes its own IV over them.
//!   <https://docs.aws.amazon.com/cloudhsm/latest/userguide/pkcs11-mechanisms.html>
//! - `aws_cloudhsm_vendor`: the same page's CKM_CLOUDHSM_AES_GCM alone: given no IV, it puts its own in front.
//! - `kmsp11`: CKM_CLOUDKMS_AES_GCM alone: twelve zeros, its own IV written at C_Encrypt.
//!   <https://github.com/GoogleCloudPlatform/kms-integrations/blob/master/kmsp11/kmsp11.h>
//! - `luna_fips`: ignores the IV, appends sixteen bytes of its own after the tag.
//!   <https://thalesdocs.com/gphsm/luna/7/docs/network/Content/sdk/mechanisms/CKM_AES_GCM.htm>
//! - `luna_fips_793`: the same page, from firmware 7.9.3: the length of the IV must be 0 for that.
//! - `luna_cloud`: as `luna_fips`; makes only keys that are private and sensitive.
//!   <https://thalesdocs.com/gphsm/luna/7/docs/network/Content/sdk/mechanisms/CKM_AES_GCM.htm>
//! - `nshield`: the security assurances of its defaults: makes no key that is extractable or not sensitive, takes none
//!   from outside. <https://nshielddocs.entrust.com/security-world-docs/v13.6.3/api-pkcs11/env-variables.html>
//! - `nethsm`: neither AES-GCM nor HMAC nor key wrap; RSA-OAEP. Its users make no keys; here they do.
//!   <https://github.com/Nitrokey/nethsm-pkcs11/blob/main/features.md>
//!
//! - `yubihsm2`: no AES-GCM; an HMAC key has its own type; no session keys, no copies. A data object is public, knows no
//!   CKA_MODIFIABLE, and shows one CKA_APPLICATION, which searches ignore.
//!   <https://github.com/Yubico/yubihsm-shell/tree/master/pkcs11>
//! - `no_gcm`: neither AES-GCM nor key wrap (opencryptoki 3.8.1, p11-kit 0.24.1 on the wire).
//! - `key_wrap`, `key_wrap_padded`: RFC 3394 or RFC 5649 by C_Encrypt, and no AES-GCM, no HMAC: what NSS and kryoptic can.
//!
//! And what several devices have in common: `session_keys_refused`, `session_objects_private` (wolfPKCS11: an object of
//! a session exists for that session alone), `data_objects_refused` (NSS says ATTRIBUTE_VALUE_INVALID, and with
//! `rv=0x54` it is kmsp11, which has no C_CreateObject).

use std::collections::HashMap;
use std::sync::Mutex;

use cryptoki_sys::*;

use crate::rules::{Effect, active, device};
use crate::{data_objects, handles, key_pairs, key_wrap, real};

const CLOUDHSM_AES_GCM: CK_MECHANISM_TYPE = 0x8000_1087;
const CLOUDKMS_AES_GCM: CK_MECHANISM_TYPE = 0x8001_e101;

/// An encryption or decryption that the device has begun and finishes in its own way.
#[derive(Clone, Copy)]
enum Begun {
    /// The IV goes to this address once the text is encrypted.
    WriteBack {
        address: usize,
        iv: [u8; 16],
    },
    Append {
        iv: [u8; 16],
    },
    PutInFront {
        iv: [u8; 16],
    },
    /// The IV is in front of the text: the address of the parameters, and the key.
    TakeFromFront {
        parameters: usize,
        key: CK_OBJECT_HANDLE,
    },
}

static BEGUN: Mutex<Option<HashMap<CK_SESSION_HANDLE, Begun>>> = Mutex::new(None);
static OWNERS: Mutex<Option<HashMap<CK_OBJECT_HANDLE, CK_SESSION_HANDLE>>> = Mutex::new(None);

fn begin(session: CK_SESSION_HANDLE, begun: Begun) {
    BEGUN.lock().unwrap().get_or_insert_default().insert(session, begun);
}

fn end(session: CK_SESSION_HANDLE) -> Option<Begun> {
    BEGUN.lock().unwrap().get_or_insert_default().remove(&session)
}

fn own_iv() -> [u8; 16] {
    if active("iv_zeros").is_some() {
        return [0; 16];
    }
    let mut iv = [0x07; 16];
    if active("iv_repeats").is_none() {
        assert_eq!(unsafe { libc::getrandom(iv.as_mut_ptr().cast(), iv.len(), 0) }, 16);
    }
    iv
}

/// C_Initialize: sessions and handles of before are gone.
pub(crate) fn initialised() {
    *BEGUN.lock().unwrap() = None;
    *OWNERS.lock().unwrap() = None;
}

/// C_EncryptInit as the device has it; none where it is the real module's.
pub(crate) unsafe fn encrypt_init(
    s: CK_SESSION_HANDLE,
    m: CK_MECHANISM_PTR,
    key: CK_OBJECT_HANDLE,
) -> Option<CK_RV> {
    let device = device()?;
    let wanted = unsafe { (*m).mechanism };
    if let Some(rv) = key_wrap::init(&device, s, wanted, key) {
        return Some(rv);
    }
    let parameters = unsafe { (*m).pParameter.cast::<CK_GCM_PARAMS>() };
    let only = match device.as_str() {
        "yubihsm2" | "no_gcm" | "nethsm" | "key_wrap" | "key_wrap_padded" => {
            return Some(CKR_MECHANISM_INVALID);
        }
        "nshield" => return None,
        "kmsp11" => CLOUDKMS_AES_GCM,
        "aws_cloudhsm_vendor" => CLOUDHSM_AES_GCM,
        "aws_cloudhsm" | "luna_fips" | "luna_fips_793" | "luna_cloud" => CKM_AES_GCM,
        other => panic!("no device {other:?}"),
    };
    if ![CKM_AES_GCM, CLOUDHSM_AES_GCM, CLOUDKMS_AES_GCM].contains(&wanted) {
        return None;
    }
    if wanted != only {
        return Some(CKR_MECHANISM_INVALID);
    }
    let given = unsafe { *parameters };
    let zeros = given.ulIvLen == 12 && unsafe { std::slice::from_raw_parts(given.pIv, 12) } == [0; 12];
    let mut iv = own_iv();
    let (length, begun) = match device.as_str() {
        "aws_cloudhsm" | "kmsp11" if zeros => (12, Begun::WriteBack { address: given.pIv as usize, iv }),
        "aws_cloudhsm_vendor" if given.pIv.is_null() && given.ulIvLen == 0 => (12, Begun::PutInFront { iv }),
        "luna_fips" | "luna_cloud" if given.ulIvLen > 0 => (16, Begun::Append { iv }),
        "luna_fips_793" if given.ulIvLen == 0 => (16, Begun::Append { iv }),
        _ => return Some(CKR_MECHANISM_PARAM_INVALID),
    };
    let rv = unsafe { init(real().C_EncryptInit.unwrap(), s, given, &mut iv[..length], key) };
    if rv == CKR_OK {
        begin(s, begun);
    }
    Some(rv)
}

/// Begins the real module's AES-GCM with another IV.
unsafe fn init(
    function: unsafe extern "C" fn(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE) -> CK_RV,
    s: CK_SESSION_HANDLE,
    given: CK_GCM_PARAMS,
    iv: &mut [u8],
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    let length = iv.len() as CK_ULONG;
    let mut own = CK_GCM_PARAMS { pIv: iv.as_mut_ptr(), ulIvLen: length, ulIvBits: 8 * length, ..given };
    let mut mechanism = CK_MECHANISM {
        mechanism: CKM_AES_GCM,
        pParameter: (&raw mut own).cast(),
        ulParameterLen: size_of::<CK_GCM_PARAMS>() as CK_ULONG,
    };
    unsafe { function(s, &raw mut mechanism, handles::inward(key)) }
}

/// C_Encrypt as the device has it.
pub(crate) unsafe fn encrypt(
    s: CK_SESSION_HANDLE,
    data: CK_BYTE_PTR,
    size: CK_ULONG,
    out: CK_BYTE_PTR,
    n: CK_ULONG_PTR,
) -> CK_RV {
    if let Some(operation) = key_wrap::take(s) {
        return unsafe { operation.wrap(s, data, size, out, n) };
    }
    let begun = end(s);
    let rv = unsafe { real().C_Encrypt.unwrap()(s, data, size, out, n) };
    let (Some(begun), CKR_OK) = (begun, rv) else { return rv };
    unsafe {
        let length = *n as usize;
        match begun {
            Begun::WriteBack { address, iv } => {
                std::ptr::copy_nonoverlapping(iv.as_ptr(), address as *mut u8, 12)
            }
            Begun::Append { iv } => {
                std::ptr::copy_nonoverlapping(iv.as_ptr(), out.add(length), 16);
                *n += 16;
            }
            Begun::PutInFront { iv } => {
                std::ptr::copy(out, out.add(12), length);
                std::ptr::copy_nonoverlapping(iv.as_ptr(), out, 12);
                *n += 12;
            }
            Begun::TakeFromFront { .. } => return CKR_OPERATION_NOT_INITIALIZED,
        }
    }
    rv
}

/// C_DecryptInit as the device has it; none where it is the real module's.
pub(crate) unsafe fn decrypt_init(
    s: CK_SESSION_HANDLE,
    m: CK_MECHANISM_PTR,
    key: CK_OBJECT_HANDLE,
) -> Option<CK_RV> {
    let device = device()?;
    if let Some(rv) = key_wrap::init(&device, s, unsafe { (*m).mechanism }, key) {
        return Some(rv);
    }
    unsafe {
        let parameters = (*m).pParameter.cast::<CK_GCM_PARAMS>();
        match (device.as_str(), (*m).mechanism) {
            ("kmsp11", CLOUDKMS_AES_GCM) => {
                let given = *parameters;
                let iv = std::slice::from_raw_parts(given.pIv, given.ulIvLen as usize);
                Some(init(real().C_DecryptInit.unwrap(), s, given, &mut iv.to_vec(), key))
            }
            ("aws_cloudhsm_vendor", CLOUDHSM_AES_GCM) => {
                begin(s, Begun::TakeFromFront { parameters: parameters as usize, key });
                Some(CKR_OK)
            }
            ("nethsm", CKM_RSA_PKCS_OAEP) => None,
            ("yubihsm2" | "no_gcm" | "nethsm" | "key_wrap" | "key_wrap_padded", _) => {
                Some(CKR_MECHANISM_INVALID)
            }
            ("kmsp11" | "aws_cloudhsm_vendor", CKM_AES_GCM) => Some(CKR_MECHANISM_INVALID),
            _ => None,
        }
    }
}

/// C_Decrypt as the device has it.
pub(crate) unsafe fn decrypt(
    s: CK_SESSION_HANDLE,
    data: CK_BYTE_PTR,
    size: CK_ULONG,
    out: CK_BYTE_PTR,
    n: CK_ULONG_PTR,
) -> CK_RV {
    if let Some(operation) = key_wrap::take(s) {
        return unsafe { operation.unwrap(s, data, size, out, n) };
    }
    unsafe {
        let Some(Begun::TakeFromFront { parameters, key }) = end(s) else {
            return real().C_Decrypt.unwrap()(s, data, size, out, n);
        };
        if size < 12 {
            return CKR_ENCRYPTED_DATA_LEN_RANGE;
        }
        let given = *(parameters as *const CK_GCM_PARAMS);
        let mut iv = std::slice::from_raw_parts(data, 12).to_vec();
        let rv = init(real().C_DecryptInit.unwrap(), s, given, &mut iv, key);
        if rv != CKR_OK {
            return rv;
        }
        real().C_Decrypt.unwrap()(s, data.add(12), size - 12, out, n)
    }
}

/// C_SignInit as the device has it; none where it is the real module's.
pub(crate) unsafe fn sign_init(
    s: CK_SESSION_HANDLE,
    m: CK_MECHANISM_PTR,
    key: CK_OBJECT_HANDLE,
) -> Option<CK_RV> {
    if let Some(rv) = unsafe { key_pairs::sign_init(s, m, key) } {
        return Some(rv);
    }
    let without = ["key_wrap", "key_wrap_padded", "nethsm"].contains(&device()?.as_str());
    (without && unsafe { (*m).mechanism } == CKM_SHA256_HMAC).then_some(CKR_MECHANISM_INVALID)
}

/// C_Sign as the device has it.
pub(crate) unsafe fn sign(
    s: CK_SESSION_HANDLE,
    data: CK_BYTE_PTR,
    size: CK_ULONG,
    out: CK_BYTE_PTR,
    n: CK_ULONG_PTR,
) -> CK_RV {
    unsafe { real().C_Sign.unwrap()(s, data, size, out, n) }
}

/// YubiHSM 2: an HMAC key of its own type is made, and one of the generic type is not.
unsafe fn is_hmac_key(template: CK_ATTRIBUTE_PTR, n: CK_ULONG) -> Option<bool> {
    let attributes = unsafe { std::slice::from_raw_parts(template, n as usize) };
    let kind = attributes.iter().find(|attribute| attribute.type_ == CKA_KEY_TYPE)?.pValue;
    let kind = kind.cast::<CK_KEY_TYPE>();
    match unsafe { *kind } {
        CKK_SHA256_HMAC => {
            // The real module knows the generic type alone.
            unsafe { *kind = CKK_GENERIC_SECRET };
            Some(true)
        }
        CKK_GENERIC_SECRET => Some(false),
        _ => None,
    }
}

/// The code by which the device refuses to make an object from this template; it may change the template instead.
pub(crate) unsafe fn refuses(call: &str, template: CK_ATTRIBUTE_PTR, n: CK_ULONG) -> Option<CK_RV> {
    let is_data = call == "C_CreateObject" && unsafe { data_objects::is_one(template, n) };
    if is_data && let Some(rule) = active("data_objects_refused") {
        return Some(if let Effect::Before(code) = rule.effect { code } else { CKR_ATTRIBUTE_VALUE_INVALID });
    }
    let of_session = || unsafe { is_of_session(template, n) };
    let refused = match device().as_deref() {
        Some("yubihsm2") if is_data => return unsafe { data_objects::as_yubihsm(template, n) },
        Some("yubihsm2") => of_session() || unsafe { is_hmac_key(template, n) } == Some(false),
        Some("luna_cloud") => unsafe {
            is_key(template, n)
                && !(flag(template, n, CKA_SENSITIVE).unwrap_or(true)
                    && flag(template, n, CKA_PRIVATE).unwrap_or(true))
        },
        Some("nshield") => unsafe {
            is_key(template, n)
                && (flag(template, n, CKA_EXTRACTABLE) == Some(true)
                    || flag(template, n, CKA_SENSITIVE) == Some(false))
        },
        _ => false,
    };
    let refused = refused || active("session_keys_refused").is_some() && of_session();
    refused.then_some(CKR_TEMPLATE_INCONSISTENT)
}

/// Whether the template is of a key that is made, not of data.
unsafe fn is_key(template: CK_ATTRIBUTE_PTR, n: CK_ULONG) -> bool {
    unsafe { !data_objects::is_one(template, n) }
}

unsafe fn flag(template: CK_ATTRIBUTE_PTR, n: CK_ULONG, kind: CK_ATTRIBUTE_TYPE) -> Option<bool> {
    let attributes = unsafe { std::slice::from_raw_parts(template, n as usize) };
    let found = attributes.iter().find(|attribute| attribute.type_ == kind)?;
    Some(unsafe { *found.pValue.cast::<CK_BBOOL>() } == CK_TRUE)
}

/// Notes which session made a session object.
pub(crate) unsafe fn made(
    s: CK_SESSION_HANDLE,
    template: CK_ATTRIBUTE_PTR,
    n: CK_ULONG,
    object: CK_OBJECT_HANDLE,
) {
    if unsafe { is_of_session(template, n) } {
        OWNERS.lock().unwrap().get_or_insert_default().insert(object, s);
    }
}

/// Whether the object is another session's, on a device that keeps them apart.
pub(crate) fn hides(s: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> bool {
    let owner = OWNERS.lock().unwrap().get_or_insert_default().get(&object).copied();
    owner.is_some_and(|owner| owner != s) && active("session_objects_private").is_some()
}

pub(crate) unsafe fn is_of_session(template: CK_ATTRIBUTE_PTR, n: CK_ULONG) -> bool {
    let attributes = unsafe { std::slice::from_raw_parts(template, n as usize) };
    attributes.iter().any(|attribute| {
        attribute.type_ == CKA_TOKEN && unsafe { *attribute.pValue.cast::<CK_BBOOL>() } == CK_FALSE
    })
}
