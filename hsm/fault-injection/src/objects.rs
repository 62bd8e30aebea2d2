//! The calls that take a handle of an object, or make an object from a template.

use cryptoki_sys::*;

use crate::rules::{Effect, Rule, active};
use crate::{devices, handles, limits, real, through};

macro_rules! on_object {
    ($($name:ident($session:ident $(, $before:ident: $type:ty)*; $object:ident);)*) => {$(
        pub(crate) unsafe extern "C" fn $name(
            $session: CK_SESSION_HANDLE $(, $before: $type)*, $object: CK_OBJECT_HANDLE
        ) -> CK_RV {
            let call = || unsafe { real().$name.unwrap()($session $(, $before)*, handles::inward($object)) };
            through(stringify!($name), Some($session), call, |_| {})
        }
    )*};
}

on_object! {
    C_DestroyObject(s; object);
}

/// The calls that begin the use of a key.
macro_rules! on_key {
    ($($name:ident $(as $device:ident)?;)*) => {$(
        pub(crate) unsafe extern "C" fn $name(
            s: CK_SESSION_HANDLE, m: CK_MECHANISM_PTR, key: CK_OBJECT_HANDLE
        ) -> CK_RV {
            let call = || unsafe {
                if devices::hides(s, key) {
                    return CKR_OBJECT_HANDLE_INVALID;
                }
                $(if let Some(rv) = devices::$device(s, m, key) {
                    return rv;
                })?
                real().$name.unwrap()(s, m, handles::inward(key))
            };
            through(stringify!($name), Some(s), call, |_| {})
        }
    )*};
}

on_key! {
    C_DecryptInit as decrypt_init;
    C_SignInit as sign_init;
}

/// The calls that make an object from a template.
macro_rules! making {
    ($($name:ident($session:ident $(, $before:ident: $type:ty)*)$( from $from:ident)?;)*) => {$(
        pub(crate) unsafe extern "C" fn $name(
            $session: CK_SESSION_HANDLE $(, $from: CK_OBJECT_HANDLE)? $(, $before: $type)*,
            template: CK_ATTRIBUTE_PTR, n: CK_ULONG, made: CK_OBJECT_HANDLE_PTR
        ) -> CK_RV {
            let call = || unsafe {
                if refused(stringify!($name), template, n) {
                    return CKR_TEMPLATE_INCONSISTENT;
                }
                if let Some(code) = devices::refuses(stringify!($name), template, n) {
                    return code;
                }
                if limits::is_full($session, template, n) {
                    return CKR_DEVICE_MEMORY;
                }
                let rv = real().$name.unwrap()(
                    $session $(, handles::inward($from))? $(, $before)*, template, n, made
                );
                if rv == CKR_OK {
                    *made = handles::outward(*made);
                    devices::made($session, template, n, *made);
                }
                rv
            };
            through(stringify!($name), Some($session), call, |_| {})
        }
    )*};
}

making! {
    C_GenerateKey(s, m: CK_MECHANISM_PTR);
    C_CreateObject(s);
    C_CopyObject(s) from from;
}

/// Whether a rule forbids one of these attributes; the rule names the call as `template:C_CopyObject`.
unsafe fn refused(call: &str, template: CK_ATTRIBUTE_PTR, n: CK_ULONG) -> bool {
    let Some(Rule { effect: Effect::Refuse(kind), .. }) = active(&format!("template:{call}")) else {
        return false;
    };
    unsafe { std::slice::from_raw_parts(template, n as usize) }
        .iter()
        .any(|attribute| attribute.type_ == kind)
}
