//! Data objects of YubiHSM 2: what it refuses in a template, what it shows, what a search ignores.

use cryptoki_sys::*;

use crate::real;
use crate::rules::device;

/// Whether the template is a data object's.
pub(crate) unsafe fn is_one(template: CK_ATTRIBUTE_PTR, n: CK_ULONG) -> bool {
    let attributes = unsafe { std::slice::from_raw_parts(template, n as usize) };
    attributes.iter().any(|attribute| {
        attribute.type_ == CKA_CLASS && unsafe { *attribute.pValue.cast::<CK_OBJECT_CLASS>() } == CKO_DATA
    })
}

/// What YubiHSM 2 shows as the application of every data object.
static OPAQUE: &[u8] = b"Opaque object";

/// Refuses, or changes, the template of a data object as YubiHSM 2 does.
pub(crate) unsafe fn as_yubihsm(template: CK_ATTRIBUTE_PTR, n: CK_ULONG) -> Option<CK_RV> {
    for attribute in unsafe { std::slice::from_raw_parts_mut(template, n as usize) } {
        match attribute.type_ {
            CKA_MODIFIABLE => return Some(CKR_ATTRIBUTE_TYPE_INVALID),
            CKA_PRIVATE if unsafe { *attribute.pValue.cast::<CK_BBOOL>() } == CK_TRUE => {
                return Some(CKR_ATTRIBUTE_VALUE_INVALID);
            }
            CKA_LABEL if attribute.ulValueLen > 40 => return Some(CKR_ATTRIBUTE_VALUE_INVALID),
            CKA_APPLICATION => {
                attribute.pValue = OPAQUE.as_ptr().cast_mut().cast();
                attribute.ulValueLen = OPAQUE.len() as CK_ULONG;
            }
            _ => {}
        }
    }
    None
}

/// C_FindObjectsInit as the device has it.
pub(crate) unsafe fn find_init(s: CK_SESSION_HANDLE, t: CK_ATTRIBUTE_PTR, n: CK_ULONG) -> CK_RV {
    let function = real().C_FindObjectsInit.unwrap();
    if n == 0 || device().as_deref() != Some("yubihsm2") {
        return unsafe { function(s, t, n) };
    }
    let mut kept = unsafe { std::slice::from_raw_parts(t, n as usize) }.to_vec();
    kept.retain(|attribute| attribute.type_ != CKA_APPLICATION);
    unsafe { function(s, kept.as_mut_ptr(), kept.len() as CK_ULONG) }
}
