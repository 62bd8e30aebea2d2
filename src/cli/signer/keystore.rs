//! Ethereum keystore files, version 3 ("Web3 Secret Storage Definition"): aes-128-ctr under scrypt or PBKDF2.
//!
//! An own reader: others leave the key in memory that they never wipe. Not for: writing them.

use aes::Aes128;
use aes::cipher::{KeyIvInit, StreamCipher};
use alloy_primitives::Keccak256;
use ctr::Ctr128BE;
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a keystore gives no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum KeystoreError {
    #[error("this is not a keystore file of version 3")]
    Form,
    #[error(
        "its cipher or key derivation is not one that version 3 defines: aes-128-ctr, scrypt or pbkdf2 with hmac-sha256"
    )]
    Unknown,
    #[error("its key derivation asks for more than 2 GiB of memory or very much time")]
    Costly,
    #[error("the password is wrong, or the file is damaged")]
    Password,
}

#[derive(Deserialize)]
struct File {
    version: u32,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParameters,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParameters,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParameters {
    iv: String,
}

#[derive(Deserialize)]
struct KdfParameters {
    dklen: usize,
    salt: String,
    n: Option<u64>,
    r: Option<u32>,
    p: Option<u32>,
    c: Option<u32>,
    prf: Option<String>,
}

/// The private key in a keystore.
pub(super) fn private_key(file: &[u8], password: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let File { version: 3, crypto } = serde_json::from_slice(file).map_err(|_| KeystoreError::Form)? else {
        return Err(KeystoreError::Form);
    };
    if crypto.cipher != "aes-128-ctr" {
        return Err(KeystoreError::Unknown);
    }
    let derived = derive(&crypto.kdf, &crypto.kdfparams, password)?;
    let (cipher_key, mac_key) = derived.split_at(16);
    let ciphertext: [u8; 32] = fixed(&crypto.ciphertext)?;
    let mut mac = Keccak256::new();
    mac.update(mac_key);
    mac.update(ciphertext);
    let expected: [u8; 32] = fixed(&crypto.mac)?;
    if !bool::from(mac.finalize().0.ct_eq(&expected)) {
        return Err(KeystoreError::Password);
    }
    let mut key = Zeroizing::new(ciphertext);
    let iv: [u8; 16] = fixed(&crypto.cipherparams.iv)?;
    let mut cipher = Ctr128BE::<Aes128>::new_from_slices(cipher_key, &iv).map_err(|_| KeystoreError::Form)?;
    cipher.apply_keystream(&mut *key);
    Ok(key)
}

/// Cipher key and MAC key, 16 bytes each.
fn derive(kdf: &str, asked: &KdfParameters, password: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let salt = hex::decode(&asked.salt).map_err(|_| KeystoreError::Form)?;
    let mut derived = Zeroizing::new([0; 32]);
    if asked.dklen != derived.len() {
        return Err(KeystoreError::Unknown);
    }
    match (kdf, asked) {
        ("scrypt", KdfParameters { n: Some(n), r: Some(r), p: Some(p), .. }) => {
            let bytes = n.saturating_mul(u64::from(*r)).saturating_mul(128);
            if !n.is_power_of_two() || bytes > 2 << 30 || *p > 16 {
                return Err(KeystoreError::Costly);
            }
            let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| KeystoreError::Costly)?;
            let parameters =
                scrypt::Params::new(log_n, *r, *p, derived.len()).map_err(|_| KeystoreError::Form)?;
            scrypt::scrypt(password, &salt, &parameters, &mut *derived).map_err(|_| KeystoreError::Form)?;
        }
        ("pbkdf2", KdfParameters { c: Some(rounds), prf: Some(prf), .. }) if prf == "hmac-sha256" => {
            if *rounds > 10_000_000 {
                return Err(KeystoreError::Costly);
            }
            pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, *rounds, &mut *derived);
        }
        _ => return Err(KeystoreError::Unknown),
    }
    Ok(derived)
}

fn fixed<const N: usize>(text: &str) -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)
        .map_err(|_| KeystoreError::Form)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test should panic")]

    use super::*;

    /// The test vectors of the Web3 Secret Storage Definition: password `testpassword`.
    const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
    const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

    #[test]
    fn the_vector_of_the_definition_opens_and_a_wrong_password_does_not() {
        assert_eq!(hex::encode(*private_key(PBKDF2.as_bytes(), b"testpassword").unwrap()), SECRET);
        assert_eq!(private_key(PBKDF2.as_bytes(), b"testpasswore").unwrap_err(), KeystoreError::Password);
    }

    #[test]
    fn a_keystore_of_ethers_opens() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/login.json")).unwrap();
        let file = vectors["keystore_scrypt"].to_string();
        let key = private_key(file.as_bytes(), b"correct horse").unwrap();
        assert_eq!(format!("0x{}", hex::encode(*key)), vectors["private_key"]);
    }

    #[test]
    fn damaged_and_greedy_files_are_refused() {
        for (from, to, error) in [
            ("\"version\":3", "\"version\":4", KeystoreError::Form),
            ("aes-128-ctr", "aes-256-gcm", KeystoreError::Unknown),
            ("pbkdf2", "argon2id", KeystoreError::Unknown),
            ("hmac-sha256", "hmac-md5", KeystoreError::Unknown),
            ("\"dklen\":32", "\"dklen\":16", KeystoreError::Unknown),
            ("262144", "4000000000", KeystoreError::Costly),
            ("5318b4", "5318b5", KeystoreError::Password),
            ("5318b4d5", "5318b4", KeystoreError::Form),
        ] {
            let file = PBKDF2.replacen(from, to, 1);
            assert_eq!(private_key(file.as_bytes(), b"testpassword").unwrap_err(), error, "{to}");
        }
        let scrypt = PBKDF2.replacen("pbkdf2", "scrypt", 1).replacen(
            "\"c\":262144",
            "\"n\":1073741824,\"r\":8,\"p\":1",
            1,
        );
        assert_eq!(private_key(scrypt.as_bytes(), b"x").unwrap_err(), KeystoreError::Costly);
        for file in ["", "{}", "[]", "null"] {
            assert_eq!(private_key(file.as_bytes(), b"x").unwrap_err(), KeystoreError::Form);
        }
    }
}
