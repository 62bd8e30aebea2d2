//! AES-GCM and random bytes on a session, under the check of its generation.

use cryptoki::object::ObjectHandle;

use super::error::{Function, TokenError};
use super::secret::{Gcm, GcmMechanism};
use super::session::Session;

impl Session {
    /// Encrypts `plain` under `key` into `out`; gives the length written: ciphertext, tag, and what the token adds.
    ///
    /// A token that insists on a vector of its own may leave it in `iv`.
    pub(crate) fn encrypt(
        &self,
        mechanism: GcmMechanism,
        key: ObjectHandle,
        iv: &mut [u8],
        aad: &[u8],
        plain: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        let mut gcm = Gcm::encryption(mechanism, iv, aad);
        self.secret(Function::EncryptInit, |list, session| list.encrypt_init(session, key, &mut gcm))?;
        self.secret(Function::Encrypt, |list, session| list.encrypt(session, plain, out))
    }

    /// Decrypts `sealed` under `key` straight into `out`; gives the length that the module claims to have written.
    ///
    /// On an error `out` may hold plaintext all the same (kryoptic leaves it there): the caller wipes.
    pub(crate) fn decrypt(
        &self,
        mechanism: GcmMechanism,
        key: ObjectHandle,
        iv: &[u8],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        let mut gcm = Gcm::decryption(mechanism, iv, aad);
        self.secret(Function::DecryptInit, |list, session| list.decrypt_init(session, key, &mut gcm))?;
        self.secret(Function::Decrypt, |list, session| list.decrypt(session, sealed, out))
    }

    /// Fills `out` from the token's generator.
    pub(crate) fn random(&self, out: &mut [u8]) -> Result<(), TokenError> {
        self.secret(Function::GenerateRandom, |list, session| list.generate_random(session, out))
    }
}
