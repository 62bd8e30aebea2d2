//! Key pairs and signatures over public text. Not for scalars: nothing secret passes here.

use cryptoki_sys::*;

use super::error::{Call, TokenError};
use super::objects::{Attribute, ObjectHandle, lie};
use super::session::Session;

fn plain(mechanism: CK_MECHANISM_TYPE) -> CK_MECHANISM {
    CK_MECHANISM { mechanism, pParameter: std::ptr::null_mut(), ulParameterLen: 0 }
}

impl Session {
    /// C_GenerateKeyPair with a mechanism that takes no parameter; gives the public and the private key.
    pub(crate) fn generate_key_pair(
        &self,
        mechanism: CK_MECHANISM_TYPE,
        public: &[Attribute<'_>],
        private: &[Attribute<'_>],
    ) -> Result<(ObjectHandle, ObjectHandle), TokenError> {
        let mut public: Vec<_> = public.iter().map(Attribute::raw).collect();
        let mut private: Vec<_> = private.iter().map(Attribute::raw).collect();
        let mut mechanism = plain(mechanism);
        let (mut public_key, mut private_key) = (0, 0);
        self.call(Call::GenerateKeyPair, |list, s| {
            let (first, first_count) = (public.as_mut_ptr(), public.len() as CK_ULONG);
            let (second, second_count) = (private.as_mut_ptr(), private.len() as CK_ULONG);
            let (public_key, private_key) = (&raw mut public_key, &raw mut private_key);
            let mechanism = &raw mut mechanism;
            // SAFETY: everything pointed to outlives the call.
            Some(unsafe {
                list.C_GenerateKeyPair?(
                    s,
                    mechanism,
                    first,
                    first_count,
                    second,
                    second_count,
                    public_key,
                    private_key,
                )
            })
        })?;
        Ok((ObjectHandle(public_key), ObjectHandle(private_key)))
    }

    /// Signs `data` with a mechanism that takes no parameter.
    pub(crate) fn sign(
        &self,
        mechanism: CK_MECHANISM_TYPE,
        key: ObjectHandle,
        data: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        let mut mechanism = plain(mechanism);
        self.call(Call::SignInit, |list, s| {
            // SAFETY: the mechanism outlives the call.
            Some(unsafe { list.C_SignInit?(s, &raw mut mechanism, key.0) })
        })?;
        let mut signature = vec![0; 256];
        let mut length = signature.len() as CK_ULONG;
        self.call(Call::Sign, |list, s| {
            let (data, size) = (data.as_ptr().cast_mut(), data.len() as CK_ULONG);
            // SAFETY: `length` is the room in `signature`; the module only reads `data`.
            Some(unsafe { list.C_Sign?(s, data, size, signature.as_mut_ptr(), &raw mut length) })
        })?;
        let length = usize::try_from(length).ok().filter(|length| *length <= signature.len());
        signature.truncate(length.ok_or(lie(Call::Sign))?);
        Ok(signature)
    }
}
