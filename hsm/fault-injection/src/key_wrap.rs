//! AES key wrap with a key of the real module, which has none by C_Encrypt: RFC 3394 and RFC 5649 over its AES-ECB.

use std::collections::HashMap;
use std::sync::Mutex;

use cryptoki_sys::*;

use crate::{handles, real};

const RFC_3394: [u8; 8] = [0xa6; 8];
const RFC_5649: [u8; 4] = [0xa6, 0x59, 0x59, 0xa6];
const CKM_AES_KEY_WRAP_KWP: CK_MECHANISM_TYPE = 0x210b;

/// A begun operation.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    key: CK_OBJECT_HANDLE,
    padded: bool,
}

static BEGUN: Mutex<Option<HashMap<CK_SESSION_HANDLE, Operation>>> = Mutex::new(None);

/// C_EncryptInit or C_DecryptInit, if the device has this mechanism.
pub(crate) fn init(
    device: &str,
    s: CK_SESSION_HANDLE,
    mechanism: CK_MECHANISM_TYPE,
    key: CK_OBJECT_HANDLE,
) -> Option<CK_RV> {
    let padded = match (device, mechanism) {
        ("key_wrap", CKM_AES_KEY_WRAP) => false,
        ("key_wrap_padded", CKM_AES_KEY_WRAP_KWP) => true,
        (_, CKM_AES_KEY_WRAP | CKM_AES_KEY_WRAP_KWP) => return Some(CKR_MECHANISM_INVALID),
        _ => return None,
    };
    BEGUN.lock().unwrap().get_or_insert_default().insert(s, Operation { key, padded });
    Some(CKR_OK)
}

/// The operation of the session, which ends with this.
pub(crate) fn take(s: CK_SESSION_HANDLE) -> Option<Operation> {
    BEGUN.lock().unwrap().get_or_insert_default().remove(&s)
}

impl Operation {
    fn initial_value(self, length: usize) -> [u8; 8] {
        let mut value = RFC_3394;
        if self.padded {
            value[..4].copy_from_slice(&RFC_5649);
            value[4..].copy_from_slice(&(length as u32).to_be_bytes());
        }
        value
    }

    pub(crate) unsafe fn wrap(
        self,
        s: CK_SESSION_HANDLE,
        data: CK_BYTE_PTR,
        size: CK_ULONG,
        out: CK_BYTE_PTR,
        n: CK_ULONG_PTR,
    ) -> CK_RV {
        let text = unsafe { std::slice::from_raw_parts(data, size as usize) };
        assert!(text.len() % 8 == 0 && text.len() >= 16, "no other text is wrapped here");
        let mut blocks: Vec<[u8; 8]> = text.chunks_exact(8).map(|part| part.try_into().unwrap()).collect();
        let (mut a, count) = (self.initial_value(text.len()), blocks.len());
        for step in 0..6 {
            for (at, block) in blocks.iter_mut().enumerate() {
                let b = unsafe { ecb(true, s, self.key, &[a, *block].concat()) };
                a = counted(b[..8].try_into().unwrap(), count * step + at + 1);
                block.copy_from_slice(&b[8..]);
            }
        }
        give(&[&a[..], &blocks.concat()].concat(), out, n)
    }

    pub(crate) unsafe fn unwrap(
        self,
        s: CK_SESSION_HANDLE,
        data: CK_BYTE_PTR,
        size: CK_ULONG,
        out: CK_BYTE_PTR,
        n: CK_ULONG_PTR,
    ) -> CK_RV {
        let sealed = unsafe { std::slice::from_raw_parts(data, size as usize) };
        if sealed.len() % 8 != 0 || sealed.len() < 24 {
            return CKR_ENCRYPTED_DATA_LEN_RANGE;
        }
        let mut parts = sealed.chunks_exact(8).map(|part| <[u8; 8]>::try_from(part).unwrap());
        let mut a = parts.next().unwrap();
        let mut blocks: Vec<_> = parts.collect();
        let count = blocks.len();
        for step in (0..6).rev() {
            for (at, block) in blocks.iter_mut().enumerate().rev() {
                let input = [counted(a, count * step + at + 1), *block].concat();
                let b = unsafe { ecb(false, s, self.key, &input) };
                a.copy_from_slice(&b[..8]);
                block.copy_from_slice(&b[8..]);
            }
        }
        if a != self.initial_value(8 * count) {
            return CKR_ENCRYPTED_DATA_INVALID;
        }
        give(&blocks.concat(), out, n)
    }
}

fn counted(a: [u8; 8], count: usize) -> [u8; 8] {
    (u64::from_be_bytes(a) ^ count as u64).to_be_bytes()
}

fn give(bytes: &[u8], out: CK_BYTE_PTR, n: CK_ULONG_PTR) -> CK_RV {
    unsafe {
        if (*n as usize) < bytes.len() {
            return CKR_BUFFER_TOO_SMALL;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), out, bytes.len());
        *n = bytes.len() as CK_ULONG;
    }
    CKR_OK
}

unsafe fn ecb(encrypt: bool, s: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE, block: &[u8]) -> [u8; 16] {
    let mut mechanism =
        CK_MECHANISM { mechanism: CKM_AES_ECB, pParameter: std::ptr::null_mut(), ulParameterLen: 0 };
    let (mut out, mut length) = ([0; 32], 32);
    let (data, key) = (block.as_ptr().cast_mut(), handles::inward(key));
    let rv = unsafe {
        if encrypt {
            assert_eq!(real().C_EncryptInit.unwrap()(s, &raw mut mechanism, key), CKR_OK);
            real().C_Encrypt.unwrap()(s, data, 16, out.as_mut_ptr(), &raw mut length)
        } else {
            assert_eq!(real().C_DecryptInit.unwrap()(s, &raw mut mechanism, key), CKR_OK);
            real().C_Decrypt.unwrap()(s, data, 16, out.as_mut_ptr(), &raw mut length)
        }
    };
    assert_eq!((rv, length), (CKR_OK, 16));
    *out.first_chunk().unwrap()
}
