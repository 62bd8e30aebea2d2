//! AES-GCM and random bytes, straight between the token and the caller's buffer. No copy is made on this side.

use cryptoki_sys::*;

use super::error::{Call, TokenError};
use super::objects::{ObjectHandle, lie};
use super::session::Session;

/// Length of the tag, bytes.
pub(crate) const TAG_LEN: usize = 16;
/// Length of the initialisation vector, bytes.
pub(crate) const IV_LEN: usize = 12;

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

impl Session {
    /// Encrypts `plain` under `key` into `out`; gives the length written, ciphertext and tag.
    ///
    /// A token that insists on a vector of its own leaves it in `iv` (AWS CloudHSM does).
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
        self.call(Call::EncryptInit, |list, s| {
            // SAFETY: mechanism, parameters, IV and AAD outlive the call; the IV may be written.
            Some(unsafe { list.C_EncryptInit?(s, &raw mut mechanism, key.0) })
        })?;
        let mut length = out.len() as CK_ULONG;
        self.call(Call::Encrypt, |list, s| {
            let (data, size) = (plain.as_ptr().cast_mut(), plain.len() as CK_ULONG);
            // SAFETY: `length` is the room in `out`; the module only reads `data`.
            Some(unsafe { list.C_Encrypt?(s, data, size, out.as_mut_ptr(), &raw mut length) })
        })?;
        fitting(Call::Encrypt, length, out.len())
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
        self.call(Call::DecryptInit, |list, s| {
            // SAFETY: mechanism, parameters, IV and AAD outlive the call; the module only reads them.
            Some(unsafe { list.C_DecryptInit?(s, &raw mut mechanism, key.0) })
        })?;
        // One call with all the room there is: no size query, and no module finds the buffer too short.
        let mut length = out.len() as CK_ULONG;
        self.call(Call::Decrypt, |list, s| {
            let (data, size) = (sealed.as_ptr().cast_mut(), sealed.len() as CK_ULONG);
            // SAFETY: `length` is the room in `out`; the module only reads `data`.
            Some(unsafe { list.C_Decrypt?(s, data, size, out.as_mut_ptr(), &raw mut length) })
        })?;
        fitting(Call::Decrypt, length, out.len())
    }

    /// Fills `out` from the token's generator.
    pub(crate) fn random(&self, out: &mut [u8]) -> Result<(), TokenError> {
        self.call(Call::GenerateRandom, |list, s| {
            // SAFETY: pointer and length of one buffer that outlives the call.
            Some(unsafe { list.C_GenerateRandom?(s, out.as_mut_ptr(), out.len() as CK_ULONG) })
        })
    }
}

fn fitting(call: Call, length: CK_ULONG, room: usize) -> Result<usize, TokenError> {
    usize::try_from(length).ok().filter(|length| *length <= room).ok_or(lie(call))
}
