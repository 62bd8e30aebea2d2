//! Byte layouts of keys and signatures in contract calls. Not for the compressed forms of gnark,
//! arkworks or Cerberus, nor for parsing: every point value is valid.

use alloy_primitives::keccak256;
use hsm::{G1Point, G2Point};
use serde::{Serialize, Serializer};

/// `KeyRegistrar.encodeBN254KeyData(g1, g2)`: `g1.x g1.y g2.x[0] g2.x[1] g2.y[0] g2.y[1]`, where
/// index 0 is the imaginary coefficient.
pub fn key_data(g1: &G1Point, g2: &G2Point) -> [u8; 192] {
    let mut bytes = [0; 192];
    let (head, tail) = bytes.split_at_mut(64);
    head.copy_from_slice(&g1.to_bytes());
    tail.copy_from_slice(&g2.to_bytes());
    bytes
}

/// The `signature` argument of `KeyRegistrar.registerKey`: `abi.encode(sigma.X, sigma.Y)`.
pub fn signature_bytes(signature: &G1Point) -> [u8; 64] {
    signature.to_bytes()
}

/// `BN254.hashG1Point`: keccak256 of `x‖y`. The `BLSApkRegistry` calls it operator id, the
/// KeyRegistrar calls it key hash.
pub fn operator_id(g1: &G1Point) -> [u8; 32] {
    keccak256(g1.to_bytes()).0
}

/// `IBLSApkRegistry.PubkeyRegistrationParams`, each coordinate `"0x"` and 64 lower-case hex digits.
///
/// It serialises as nested lists in field order: the form in which TXTX expects a Solidity struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PubkeyRegistrationParams {
    /// `pubkeyRegistrationSignature` as `[X, Y]`.
    pub signature: [String; 2],
    /// `pubkeyG1` as `[X, Y]`.
    pub pubkey_g1: [String; 2],
    /// `pubkeyG2` as `[[X[0], X[1]], [Y[0], Y[1]]]`, imaginary coefficient first.
    pub pubkey_g2: [[String; 2]; 2],
}

impl PubkeyRegistrationParams {
    /// Parameters that register the key (`g1`, `g2`) with a signature on its registration digest.
    pub fn new(signature: &G1Point, g1: &G1Point, g2: &G2Point) -> Self {
        Self {
            signature: [word(signature.x()), word(signature.y())],
            pubkey_g1: [word(g1.x()), word(g1.y())],
            pubkey_g2: [g2.x().each_ref().map(word), g2.y().each_ref().map(word)],
        }
    }
}

impl Serialize for PubkeyRegistrationParams {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.signature, &self.pubkey_g1, &self.pubkey_g2).serialize(serializer)
    }
}

fn word(coordinate: &[u8; 32]) -> String {
    format!("0x{}", hex::encode(coordinate))
}
