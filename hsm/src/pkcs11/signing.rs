//! Key pairs and signatures over public text. Not for scalars: nothing secret passes here.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectHandle};

use super::error::{Function, TokenError};
use super::session::Session;

/// Length of the longest signature: by RSA with 4096 bits.
const MOST: usize = 512;

impl Session {
    /// C_GenerateKeyPair; gives the public and the private key.
    pub(crate) fn generate_key_pair(
        &self,
        mechanism: &Mechanism<'_>,
        public: &[Attribute],
        private: &[Attribute],
    ) -> Result<(ObjectHandle, ObjectHandle), TokenError> {
        self.call(Function::GenerateKeyPair, |library, session| {
            library.generate_key_pair(session, mechanism, public, private)
        })
    }

    /// C_SignInit and C_Sign.
    pub(crate) fn sign(
        &self,
        mechanism: &Mechanism<'_>,
        key: ObjectHandle,
        data: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        let mut signature = vec![0; MOST];
        let length = self.call(Function::Sign, |library, session| {
            library.sign(session, mechanism, key, data, &mut signature)
        })?;
        signature.truncate(length);
        Ok(signature)
    }
}
