//! Local stand-in for the curve module of branch `curve`; dropped when that is merged.
#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
use thiserror::Error;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct G1Point([u8; 64]);
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct G2Point([u8; 128]);
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PointError {
    #[error("the point is not on the curve")]
    NotOnCurve,
}
impl G1Point {
    pub fn from_bytes(b: &[u8; 64]) -> Result<Self, PointError> {
        let f = |b: &[u8]| {
            use ark_ff::{BigInteger, PrimeField};
            let v = ark_bn254::Fq::from_be_bytes_mod_order(b);
            (v.into_bigint().to_bytes_be() == b).then_some(v)
        };
        let (Some(x), Some(y)) = (f(&b[..32]), f(&b[32..])) else { return Err(PointError::NotOnCurve) };
        let p = ark_bn254::G1Affine::new_unchecked(x, y);
        if p.is_on_curve() { Ok(Self(*b)) } else { Err(PointError::NotOnCurve) }
    }
    pub fn to_bytes(&self) -> [u8; 64] {
        self.0
    }
}
impl G2Point {
    pub fn from_bytes(b: &[u8; 128]) -> Result<Self, PointError> {
        Ok(Self(*b))
    }
    pub fn to_bytes(&self) -> [u8; 128] {
        self.0
    }
}
pub(crate) mod bn254 {
    use super::G1Point;
    use ark_bn254::{Fq, Fr, G1Affine, G2Affine};
    use ark_ec::{AffineRepr, CurveGroup};
    use ark_ff::{BigInteger, PrimeField};
    pub(crate) const SCALAR_LEN: usize = 32;
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Fault;
    pub(crate) fn initialise() {}
    pub(crate) fn scalar_in_range(k: &[u8; 32]) -> subtle::Choice {
        let v = Fr::from_be_bytes_mod_order(k);
        let ok = v.into_bigint().to_bytes_be() == k && k != &[0; 32];
        subtle::Choice::from(u8::from(ok))
    }
    fn fq(b: &[u8]) -> Fq {
        Fq::from_be_bytes_mod_order(b)
    }
    fn g1(p: G1Affine) -> [u8; 64] {
        let mut o = [0; 64];
        o[..32].copy_from_slice(&p.x.into_bigint().to_bytes_be());
        o[32..].copy_from_slice(&p.y.into_bigint().to_bytes_be());
        o
    }
    pub(crate) fn multiply(k: &[u8; 32], p: &G1Point, _blinding: &[u8; 32]) -> [u8; 64] {
        let b = p.to_bytes();
        let p = G1Affine::new_unchecked(fq(&b[..32]), fq(&b[32..]));
        g1((p * Fr::from_be_bytes_mod_order(k)).into_affine())
    }
    pub(crate) fn multiply_g1_generator(k: &[u8; 32]) -> [u8; 64] {
        g1((G1Affine::generator() * Fr::from_be_bytes_mod_order(k)).into_affine())
    }
    pub(crate) fn multiply_g2_generator(k: &[u8; 32]) -> [u8; 128] {
        let p = (G2Affine::generator() * Fr::from_be_bytes_mod_order(k)).into_affine();
        let mut o = [0; 128];
        for (i, v) in [p.x.c1, p.x.c0, p.y.c1, p.y.c0].into_iter().enumerate() {
            o[i * 32..][..32].copy_from_slice(&v.into_bigint().to_bytes_be());
        }
        o
    }
    pub(crate) fn multiply_checked(
        k: &[u8; 32],
        p: &G1Point,
        g1_public: &G1Point,
        blinding: &[u8; 32],
    ) -> Result<[u8; 64], Fault> {
        if multiply_g1_generator(k) != g1_public.to_bytes() {
            return Err(Fault);
        }
        Ok(multiply(k, p, blinding))
    }
    pub(crate) fn multiply_curve_checked(
        k: &[u8; 32],
        p: &G1Point,
        blinding: &[u8; 32],
    ) -> Result<[u8; 64], Fault> {
        Ok(multiply(k, p, blinding))
    }
}
