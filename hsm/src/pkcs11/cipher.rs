//! Ciphers, MACs that are keys, and random bytes on a session, under the check of its generation.

use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::ObjectHandle;

use super::error::{Function, TokenError};
use super::kinds::KeyWrap;
use super::secret::{Cipher, Gcm, GcmMechanism};
use super::session::Session;

/// The hash of RSA-OAEP, which MGF1 has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OaepHash {
    Sha256,
    /// What SoftHSM has alone. OAEP needs no resistance to collisions.
    Sha1,
}

impl OaepHash {
    /// Length of its digest, bytes.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha1 => 20,
        }
    }

    fn mechanism(self) -> Mechanism<'static> {
        let (hash, mgf) = match self {
            Self::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
            Self::Sha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
        };
        Mechanism::RsaPkcsOaep(PkcsOaepParams::new(hash, mgf, PkcsOaepSource::empty()))
    }
}

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
        self.encrypt_by(Cipher::Gcm(Gcm::encryption(mechanism, iv, aad)), key, plain, out)
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
        self.decrypt_by(Cipher::Gcm(Gcm::decryption(mechanism, iv, aad)), key, sealed, out)
    }

    /// Wraps `plain` under `key` by AES key wrap; gives the length written.
    pub(crate) fn wrap_bytes(
        &self,
        mechanism: KeyWrap,
        key: ObjectHandle,
        plain: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        self.encrypt_by(Cipher::KeyWrap(mechanism), key, plain, out)
    }

    /// The opposite of [`wrap_bytes`](Self::wrap_bytes), as [`decrypt`](Self::decrypt).
    pub(crate) fn unwrap_bytes(
        &self,
        mechanism: KeyWrap,
        key: ObjectHandle,
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        self.decrypt_by(Cipher::KeyWrap(mechanism), key, sealed, out)
    }

    /// Decrypts `sealed` by RSA-OAEP with `key`, as [`decrypt`](Self::decrypt).
    pub(crate) fn decrypt_oaep(
        &self,
        hash: OaepHash,
        key: ObjectHandle,
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        self.decrypt_by(Cipher::Standard(&hash.mechanism()), key, sealed, out)
    }

    fn encrypt_by(
        &self,
        mut cipher: Cipher<'_>,
        key: ObjectHandle,
        plain: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        self.call(Function::EncryptInit, |library, session| library.encrypt_init(session, key, &mut cipher))?;
        self.call(Function::Encrypt, |library, session| library.encrypt(session, plain, out))
    }

    fn decrypt_by(
        &self,
        mut cipher: Cipher<'_>,
        key: ObjectHandle,
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        self.call(Function::DecryptInit, |library, session| library.decrypt_init(session, key, &mut cipher))?;
        self.call(Function::Decrypt, |library, session| library.decrypt(session, sealed, out))
    }

    /// HMAC-SHA-256 of a public text under `key`, straight into `out`; gives the length that the module claims. The MAC
    /// is a secret here: it is a key.
    pub(crate) fn derive_key(
        &self,
        key: ObjectHandle,
        text: &[u8],
        out: &mut [u8],
    ) -> Result<usize, TokenError> {
        self.call(Function::SignInit, |library, session| library.mac_init(session, key))?;
        self.call(Function::Sign, |library, session| library.mac(session, text, out))
    }

    /// Fills `out` from the token's generator.
    pub(crate) fn random(&self, out: &mut [u8]) -> Result<(), TokenError> {
        self.call(Function::GenerateRandom, |library, session| library.generate_random(session, out))
    }
}
