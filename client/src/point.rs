//! Points by their affine coordinates. Whether they lie on the curve is the service's and the contract's business.

use serde::{Deserialize, Serialize};

use crate::Bytes;

/// A point of G1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct G1Point {
    /// Big-endian.
    pub x: Bytes<32>,
    /// Big-endian.
    pub y: Bytes<32>,
}

impl G1Point {
    /// `x‖y`, the form of a contract's answer.
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let (mut x, mut y) = ([0; 32], [0; 32]);
        x.copy_from_slice(&bytes[..32]);
        y.copy_from_slice(&bytes[32..]);
        Self { x: Bytes(x), y: Bytes(y) }
    }

    /// `x‖y`.
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.x.0);
        bytes[32..].copy_from_slice(&self.y.0);
        bytes
    }
}

/// A point of G2, the imaginary coefficient first: as Solidity and the pairing precompile take it, and the other way
/// round than arkworks and gnark's own structures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct G2Point {
    /// Imaginary, real.
    pub x: [Bytes<32>; 2],
    /// Imaginary, real.
    pub y: [Bytes<32>; 2],
}
