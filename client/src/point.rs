//! Points as affine coordinates. Not for curve checks: the service and the contracts make them.

use serde::{Deserialize, Serialize};

use crate::hex::Bytes;

/// A point of G1, affine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct G1Point {
    /// x, big-endian.
    pub x: Bytes<32>,
    /// y, big-endian.
    pub y: Bytes<32>,
}

impl G1Point {
    /// From `x‖y`, each 32 bytes (EIP-196).
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let (mut x, mut y) = ([0; 32], [0; 32]);
        x.copy_from_slice(&bytes[..32]);
        y.copy_from_slice(&bytes[32..]);
        Self { x: Bytes(x), y: Bytes(y) }
    }

    /// `x‖y`, each 32 bytes (EIP-196).
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.x.0);
        bytes[32..].copy_from_slice(&self.y.0);
        bytes
    }
}

/// A point of G2, affine, imaginary coefficient first (EIP-197). arkworks and gnark store the real
/// one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct G2Point {
    /// x as imaginary and real coefficient.
    pub x: [Bytes<32>; 2],
    /// y as imaginary and real coefficient.
    pub y: [Bytes<32>; 2],
}
