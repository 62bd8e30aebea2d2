//! Checkpoints compared with another implementation of the note format, and changed checkpoints.

use base64::Engine;
use p256::ecdsa::signature::Signer as _;
use signed_note::{Signer as _, StandardSigner};

use crate::checkpoint::key::{PublicKey, VerifierKey};
use crate::checkpoint::signed::{CheckpointError, CheckpointSigner, SignedCheckpoint};
use crate::format::head::Head;
use crate::format::log_id::LogId;

const ORIGIN: &str = "example.test/avs-kms/1";

/// A software key made of a seed, in the encoding of Go's `sumdb/note`.
struct Software(StandardSigner, PublicKey);

impl Software {
    fn new(seed: u8) -> Self {
        let seed = [seed; 32];
        let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes();
        let typed = [&[1], public.as_slice()].concat();
        let id = signed_note::key_id(ORIGIN, &typed);
        let secret = base64::engine::general_purpose::STANDARD.encode([&[1], seed.as_slice()].concat());
        let signer = StandardSigner::new(&format!("PRIVATE+KEY+{ORIGIN}+{id:08x}+{secret}")).unwrap();
        Self(signer, PublicKey::Ed25519(public))
    }
}

impl CheckpointSigner for Software {
    fn public_key(&self) -> PublicKey {
        self.1
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.sign(text)?)
    }
}

struct Ecdsa(p256::ecdsa::SigningKey);

impl CheckpointSigner for Ecdsa {
    fn public_key(&self) -> PublicKey {
        PublicKey::P256(self.0.verifying_key().to_encoded_point(false).as_bytes().try_into().unwrap())
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let signature: p256::ecdsa::Signature = self.0.sign(text);
        Ok(signature.to_bytes().to_vec())
    }
}

fn head() -> Head {
    Head { log: LogId([1; 16]), size: 42, record_hash: [2; 32], root: [3; 32] }
}

/// What Go's `golang.org/x/mod/sumdb/note` v0.20.0 made of the same key and text, and opened again:
/// the key, then the note.
const BY_GO: &str = include_str!("../../tests/golden/checkpoint-by-go.txt");

#[test]
fn key_and_checkpoint_are_byte_for_byte_what_the_go_implementation_makes_and_opens() {
    let (their_key, their_note) = BY_GO.split_once('\n').unwrap();
    let signer = Software::new(7);
    let checkpoint = SignedCheckpoint::sign(ORIGIN, &head(), &signer).unwrap();
    assert_eq!(checkpoint.note(), their_note);
    assert_eq!(VerifierKey::new(ORIGIN, signer.public_key()).unwrap().to_string(), their_key);
    let key: VerifierKey = their_key.parse().unwrap();
    assert_eq!(key.open(their_note.as_bytes()).unwrap().root(), [3; 32]);
}

#[test]
fn a_checkpoint_reads_back() {
    let signer = Software::new(7);
    let checkpoint = SignedCheckpoint::sign(ORIGIN, &head(), &signer).unwrap();
    let mut lines = checkpoint.note().lines();
    assert_eq!(lines.next(), Some(ORIGIN));
    assert_eq!(lines.next(), Some("42"));
    assert_eq!(lines.next(), Some("AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="));
    let key = VerifierKey::new(ORIGIN, signer.public_key()).unwrap();
    let read: VerifierKey = key.to_string().parse().unwrap();
    assert_eq!(read.open(checkpoint.note().as_bytes()).unwrap(), checkpoint);
}

#[test]
fn p256_does_too_for_tokens_without_eddsa() {
    let signer = Ecdsa(p256::ecdsa::SigningKey::from_slice(&[5; 32]).unwrap());
    let checkpoint = SignedCheckpoint::sign(ORIGIN, &head(), &signer).unwrap();
    let key = VerifierKey::new(ORIGIN, signer.public_key()).unwrap();
    let read: VerifierKey = key.to_string().parse().unwrap();
    assert_eq!(read.open(checkpoint.note().as_bytes()).unwrap().size(), 42);
    // By hand, as c2sp.org/signed-note has it: the text, an empty line, a dash, the name, then key
    // id and signature.
    let (text, line) = checkpoint.note().split_once("\n\n").unwrap();
    let signed = line.strip_prefix(&format!("\u{2014} {ORIGIN} ")).unwrap().trim_end();
    let bytes = base64::engine::general_purpose::STANDARD.decode(signed).unwrap();
    let spki = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
    let spki = [&spki, signer.0.verifying_key().to_encoded_point(false).as_bytes()].concat();
    assert_eq!(bytes[..4], <sha2::Sha256 as sha2::Digest>::digest(spki)[..4]);
    let signature = p256::ecdsa::Signature::from_der(&bytes[4..]).unwrap();
    let text = format!("{text}\n");
    p256::ecdsa::signature::Verifier::verify(signer.0.verifying_key(), text.as_bytes(), &signature).unwrap();
}

#[test]
fn any_changed_byte_and_any_other_key_is_refused() {
    let checkpoint = SignedCheckpoint::sign(ORIGIN, &head(), &Software::new(7)).unwrap();
    let key = VerifierKey::new(ORIGIN, Software::new(7).public_key()).unwrap();
    let text = checkpoint.note().as_bytes();
    for index in 0..text.len() {
        let mut changed = text.to_vec();
        changed[index] ^= 1;
        let opened = key.open(&changed);
        assert!(opened.is_err(), "byte {index}: {opened:?}");
    }
    let other = VerifierKey::new(ORIGIN, Software::new(8).public_key()).unwrap();
    assert!(matches!(other.open(text), Err(CheckpointError::Signature { .. })));
}

#[test]
fn a_token_that_signs_wrongly_is_noticed_before_the_checkpoint_is_given_out() {
    struct WrongSigner(Software);
    impl CheckpointSigner for WrongSigner {
        fn public_key(&self) -> PublicKey {
            Software::new(9).public_key()
        }
        fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
            CheckpointSigner::sign(&self.0, text)
        }
    }
    let signed = SignedCheckpoint::sign(ORIGIN, &head(), &WrongSigner(Software::new(7)));
    assert!(matches!(signed, Err(CheckpointError::WrongSignature)));
}
