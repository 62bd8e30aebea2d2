//! A second opinion on signatures: what the contracts compute, by arkworks alone.

use ark_bn254::{Bn254, Fq, Fq2, G1Affine, G2Affine};
use ark_ec::AffineRepr as _;
use ark_ec::pairing::Pairing as _;
use ark_ff::{Field as _, PrimeField as _, Zero as _};
use avs_kms_client::{Bytes, G1Point, G2Point, SignResult};

fn field(bytes: &Bytes<32>) -> Fq {
    Fq::from_be_bytes_mod_order(&bytes.0)
}

fn g1(point: &G1Point) -> G1Affine {
    let point = G1Affine::new_unchecked(field(&point.x), field(&point.y));
    assert!(point.is_on_curve(), "not a point of G1");
    point
}

fn g2(point: &G2Point) -> G2Affine {
    let limbs = |[imaginary, real]: &[Bytes<32>; 2]| Fq2::new(field(real), field(imaginary));
    let point = G2Affine::new_unchecked(limbs(&point.x), limbs(&point.y));
    assert!(point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve(), "not a point of G2");
    point
}

/// `BN254.hashToG1`: from x = digest mod p upwards, the first x with a point; y = (x³ + 3)^((p + 1) / 4).
fn hash_to_g1(digest: &[u8; 32]) -> G1Affine {
    let mut x = Fq::from_be_bytes_mod_order(digest);
    loop {
        let square = x.square() * x + Fq::from(3);
        let mut exponent = Fq::MODULUS;
        exponent.0[0] += 1;
        let exponent = exponent >> 2;
        let y = square.pow(exponent);
        if y.square() == square {
            return G1Affine::new_unchecked(x, y);
        }
        x += Fq::from(1);
    }
}

/// e(σ, −G2) · e(H(digest), P′) = 1, and the two public keys are of one scalar.
pub fn verifies(digest: &[u8; 32], signed: &SignResult) -> bool {
    let (signature, key1, key2) = (g1(&signed.signature), g1(&signed.g1), g2(&signed.g2));
    let (one, two) = (G1Affine::generator(), -G2Affine::generator());
    let holds = |left: G1Affine, right: G1Affine| Bn254::multi_pairing([left, right], [two, key2]).is_zero();
    !signature.is_zero() && holds(signature, hash_to_g1(digest)) && holds(key1, one)
}
