//! Pairing equations by which the contracts accept keys and signatures. Not for checking bytes:
//! `G1Point` and `G2Point` are on their curves and in their groups by construction.

use alloy_primitives::keccak256;
use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{AffineRepr, pairing::Pairing};
use ark_ff::{PrimeField, Zero};
use hsm::{G1Point, G2Point};

use super::hash::hash_to_g1;

/// Whether `signature` is a signature of the key on the point `hash`: e(signature, G2) = e(hash,
/// g2).
pub fn verify(signature: &G1Point, hash: &G1Point, g2: &G2Point) -> bool {
    balances(G1Affine::from(signature), G1Affine::from(hash), g2)
}

/// Whether both points are public keys of one secret key: e(g1, G2) = e(G1, g2).
pub fn same_key(g1: &G1Point, g2: &G2Point) -> bool {
    balances(G1Affine::from(g1), G1Affine::generator(), g2)
}

/// The check of `BLSApkRegistry.registerBLSPublicKey(operator, params,
/// pubkeyRegistrationMessageHash)`.
///
/// Not for the state of the registry, which also refuses an operator or a key that is registered
/// already.
pub fn apk_registry_accepts(signature: &G1Point, hash: &G1Point, g1: &G1Point, g2: &G2Point) -> bool {
    let gamma = challenge(&[&signature.to_bytes(), &g1.to_bytes(), &g2.to_bytes(), &hash.to_bytes()]);
    combined(gamma, signature, hash, g1, g2)
}

/// `BN254SignatureVerifier.verifySignature(msgHash, signature, pubkeyG1, pubkeyG2, …)`, called by
/// `KeyRegistrar.registerKey` and `BN254CertificateVerifier`. `BLSSignatureChecker` makes the same
/// check.
pub fn signature_verifier_accepts(
    digest: &[u8; 32],
    signature: &G1Point,
    g1: &G1Point,
    g2: &G2Point,
) -> bool {
    let gamma = challenge(&[digest, &g1.to_bytes(), &g2.to_bytes(), &signature.to_bytes()]);
    combined(gamma, signature, &hash_to_g1(digest), g1, g2)
}

/// keccak256 of the packed parts, modulo the group order.
fn challenge(parts: &[&[u8]]) -> Fr {
    Fr::from_be_bytes_mod_order(keccak256(parts.concat()).as_slice())
}

/// `verify` and `same_key` in one pairing: e(σ + γP, −G2) · e(H + γG1, P′) = 1.
fn combined(gamma: Fr, signature: &G1Point, hash: &G1Point, g1: &G1Point, g2: &G2Point) -> bool {
    balances(
        G1Affine::from(signature) + G1Affine::from(g1) * gamma,
        G1Affine::from(hash) + G1Affine::generator() * gamma,
        g2,
    )
}

/// e(left, −G2) · e(right, g2) = 1, the equation of `BN254.pairing` (EIP-197).
fn balances(left: impl Into<G1Projective>, right: impl Into<G1Projective>, g2: &G2Point) -> bool {
    let (left, right): (G1Projective, G1Projective) = (left.into(), right.into());
    Bn254::multi_pairing([left, right], [-G2Affine::generator(), G2Affine::from(g2)]).is_zero()
}
