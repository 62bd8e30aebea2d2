//! Signer of `avs-kms login` and `avs-kms sign-request`: a key from a file, or a person with a wallet.
//!
//! The private key is wiped when dropped, has no `Debug`, and never leaves this module. Not for: what
//! is signed.

use std::fs::File;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use k256::ecdsa::SigningKey;
use trusted_files::Readers;
use zeroize::Zeroizing;

use super::keystore;
use super::prompt::read_password;
use crate::auth::{EoaSignature, address};
use crate::cli::error::CliError;
use crate::cli::output::say;
use crate::key::Eoa;

/// The largest file that is read, bytes: keystores are under 1 KiB.
const MOST: usize = 16 * 1024;

#[derive(Debug, Args)]
pub(super) struct Wallet {
    /// Your address, if your own wallet signs
    ///
    /// The message is printed, and the signature is read from standard input (0x and 130 hex digits).
    #[arg(long, required_unless_present_any = ["keystore", "private_key_file"])]
    pub(super) eoa: Option<Eoa>,
    /// Ethereum keystore file (version 3), as geth, clef and `cast wallet` write it
    #[arg(long, value_name = "FILE", conflicts_with = "private_key_file")]
    keystore: Option<PathBuf>,
    /// File with the keystore's password, mode 0600 [default: standard input]
    #[arg(long, value_name = "FILE", requires = "keystore")]
    password_file: Option<PathBuf>,
    /// File with the private key in hex, mode 0600
    #[arg(long, value_name = "FILE")]
    private_key_file: Option<PathBuf>,
    /// Write the message for your wallet to this file, too, byte for byte
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keystore", "private_key_file"])]
    print_message: Option<PathBuf>,
}

/// What signs.
pub(super) enum Signer {
    Key(SigningKey),
    Person { eoa: Eoa, print_message: Option<PathBuf> },
}

impl Wallet {
    pub(super) fn open(&self) -> Result<Signer, CliError> {
        let key = match (&self.keystore, &self.private_key_file, self.eoa) {
            (Some(path), _, _) => {
                let file = read(path, "a keystore")?;
                let password = match &self.password_file {
                    Some(path) => private(path, "a password")?,
                    None => read_password("password of the keystore: ")?,
                };
                keystore::private_key(&file, line(&password))
                    .map_err(|error| CliError::context(format!("cannot open {}", path.display()), &error))?
            }
            (None, Some(path), _) => {
                let file = private(path, "a private key")?;
                let text = line(&file);
                let mut key = Zeroizing::new([0; 32]);
                let digits = text.strip_prefix(b"0x").unwrap_or(text);
                hex::decode_to_slice(digits, &mut *key).map_err(|_| {
                    CliError::new(format!("{} holds no private key: 64 hex digits", path.display()))
                })?;
                key
            }
            (None, None, Some(eoa)) => {
                return Ok(Signer::Person { eoa, print_message: self.print_message.clone() });
            }
            (None, None, None) => {
                return Err(CliError::usage(
                    "give --keystore, --private-key-file or --eoa: one of them must sign",
                ));
            }
        };
        let key = SigningKey::from_slice(&*key)
            .map_err(|_| CliError::new("this is not a private key of secp256k1"))?;
        let signer = Signer::Key(key);
        match self.eoa.filter(|eoa| *eoa != signer.eoa()) {
            Some(eoa) => Err(CliError::new(format!("the key belongs to {}, not to {eoa}", signer.eoa()))),
            None => Ok(signer),
        }
    }
}

impl Signer {
    pub(super) fn eoa(&self) -> Eoa {
        match self {
            Self::Key(key) => address(key.verifying_key()),
            Self::Person { eoa, .. } => *eoa,
        }
    }

    /// A signature over the digest of `shown`, `0x` and 130 hex digits.
    pub(super) fn sign(&self, digest: &[u8; 32], shown: &str, how: &str) -> Result<String, CliError> {
        match self {
            Self::Key(key) => {
                let (signature, recovery) = key
                    .sign_prehash_recoverable(digest)
                    .map_err(|_| CliError::new("the key could not sign"))?;
                let mut bytes = signature.to_bytes().to_vec();
                bytes.push(27 + recovery.to_byte());
                Ok(format!("0x{}", hex::encode(bytes)))
            }
            Self::Person { eoa, print_message } => {
                if let Some(path) = print_message {
                    trusted_files::write_atomically(path, shown.as_bytes(), 0o644).map_err(|error| {
                        CliError::context(format!("cannot write {}", path.display()), &error)
                    })?;
                }
                say(&format!("sign this as {eoa} ({how}), then enter the signature:\n\n{shown}\n"));
                let mut text = String::new();
                let input = std::io::stdin().lock().take(4_096).read_line(&mut text);
                input.map_err(|error| CliError::context("cannot read the signature", &error))?;
                let digits = text.trim().strip_prefix("0x").unwrap_or(text.trim()).to_owned();
                let bytes =
                    hex::decode(&digits).map_err(|_| CliError::new("a signature is 0x and hex digits"))?;
                // A contract wallet's signature may be anything; an EOA's is checked before it goes anywhere.
                match EoaSignature::from_bytes(&bytes) {
                    Ok(signature) if bytes.len() == 65 && signature.signer(digest) != Some(*eoa) => {
                        say(
                            "warning: this is not the signature of that address; it can be valid if the address is a contract",
                        );
                    }
                    Ok(_) | Err(_) => {}
                }
                Ok(format!("0x{digits}"))
            }
        }
    }
}

/// The first line.
fn line(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default()
}

fn read(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let failed = |error: std::io::Error| {
        CliError::context(format!("cannot read {what} from {}", path.display()), &error)
    };
    // The whole length from the start: a buffer that grows leaves copies.
    let mut bytes = Zeroizing::new(vec![0; MOST + 1]);
    let mut file = File::open(path).map_err(failed)?;
    let mut length = 0;
    while let Some(free) = bytes.get_mut(length..).filter(|free| !free.is_empty()) {
        match file.read(free).map_err(failed)? {
            0 => break,
            count => length += count,
        }
    }
    if length > MOST {
        return Err(CliError::new(format!("{} is too long to be {what}", path.display())));
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Reads a secret: a regular file that only its owner can read.
fn private(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let mut bytes = Zeroizing::new(vec![0; MOST]);
    let length = trusted_files::read_secret(path, Readers::Owner, &mut bytes)
        .map_err(|error| CliError::context(format!("cannot read {what}"), &error))?;
    if length == 0 {
        return Err(CliError::new(format!("{} is empty", path.display())));
    }
    bytes.truncate(length);
    Ok(bytes)
}
