//! Key pairs and signatures over public text. Not for scalars: nothing secret passes here.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectHandle};

use super::error::{Function, TokenError};
use super::session::Session;

impl Session {
    /// C_GenerateKeyPair; gives the public and the private key.
    pub(crate) fn generate_key_pair(
        &self,
        mechanism: &Mechanism<'_>,
        public: &[Attribute],
        private: &[Attribute],
    ) -> Result<(ObjectHandle, ObjectHandle), TokenError> {
        self.call(Function::GenerateKeyPair, |session| session.generate_key_pair(mechanism, public, private))
    }

    /// C_SignInit and C_Sign.
    pub(crate) fn sign(
        &self,
        mechanism: &Mechanism<'_>,
        key: ObjectHandle,
        data: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        self.call(Function::Sign, |session| session.sign(mechanism, key, data))
    }
}
