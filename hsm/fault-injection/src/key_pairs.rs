//! Key pairs on devices that lack some. Rules beside a device or alone:
//!
//! - `no_ec slow`: no elliptic curves; `no_key_pairs slow`: no key pairs (opencryptoki 3.8.1 has RSA alone, others none).
//! - `ec_signs_nothing slow`: makes keys on curves and does not sign with them; `signs_nothing slow`: nor with others.
//! - `no_combined_pss slow`: RSA-PSS over a digest alone; `wrong_combined_pss slow`: with a salt of another length.

use cryptoki_sys::*;

use crate::rules::active;
use crate::{handles, real, through};

/// C_GenerateKeyPair as the device has it.
pub(crate) unsafe extern "C" fn C_GenerateKeyPair(
    s: CK_SESSION_HANDLE,
    m: CK_MECHANISM_PTR,
    public: CK_ATTRIBUTE_PTR,
    publics: CK_ULONG,
    private: CK_ATTRIBUTE_PTR,
    privates: CK_ULONG,
    public_key: CK_OBJECT_HANDLE_PTR,
    private_key: CK_OBJECT_HANDLE_PTR,
) -> CK_RV {
    let call = || unsafe {
        let on_curve = [CKM_EC_KEY_PAIR_GEN, CKM_EC_EDWARDS_KEY_PAIR_GEN].contains(&(*m).mechanism);
        if active("no_key_pairs").is_some() {
            return CKR_FUNCTION_NOT_SUPPORTED;
        }
        if on_curve && active("no_ec").is_some() {
            return CKR_MECHANISM_INVALID;
        }
        let make = real().C_GenerateKeyPair.unwrap();
        let rv = make(s, m, public, publics, private, privates, public_key, private_key);
        if rv == CKR_OK {
            *public_key = handles::outward(*public_key);
            *private_key = handles::outward(*private_key);
        }
        rv
    };
    through("C_GenerateKeyPair", Some(s), call, |_| {})
}

/// C_SignInit as the device has it; none where it is the real module's.
pub(crate) unsafe fn sign_init(
    s: CK_SESSION_HANDLE,
    m: CK_MECHANISM_PTR,
    key: CK_OBJECT_HANDLE,
) -> Option<CK_RV> {
    let wanted = unsafe { (*m).mechanism };
    let on_curve = [CKM_ECDSA, CKM_EDDSA].contains(&wanted);
    if on_curve && active("no_ec").is_some() {
        return Some(CKR_MECHANISM_INVALID);
    }
    if on_curve && active("ec_signs_nothing").is_some() {
        return Some(CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
    if active("signs_nothing").is_some() {
        return Some(CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
    if wanted == CKM_SHA256_RSA_PKCS_PSS && active("no_combined_pss").is_some() {
        return Some(CKR_MECHANISM_INVALID);
    }
    if wanted == CKM_SHA256_RSA_PKCS_PSS && active("wrong_combined_pss").is_some() {
        let mut own = CK_RSA_PKCS_PSS_PARAMS {
            sLen: 20,
            ..unsafe { *(*m).pParameter.cast::<CK_RSA_PKCS_PSS_PARAMS>() }
        };
        let mut other = CK_MECHANISM { pParameter: (&raw mut own).cast(), ..unsafe { *m } };
        return Some(unsafe { real().C_SignInit.unwrap()(s, &raw mut other, handles::inward(key)) });
    }
    None
}
