//! The one hash-to-curve that the contracts know. NOT the RFC 9380 map that Hourglass uses between
//! its own servers.

use ark_bn254::{Fq, G1Affine};
use ark_ff::{Field, PrimeField};
use hsm::G1Point;

/// `BN254.hashToG1`: the first `x` at or after `digest mod p` for which `x³ + 3` is a square.
///
/// The root is `(x³ + 3)^((p+1)/4)`, not normalised to an even or a smaller `y`; the contract keeps the
/// same one, and both must, because the other root is another message. The digest enters as it is:
/// nothing is hashed and there is no domain tag.
///
/// Half of all `x` have a point, so two tries are usual and `n` tries have a chance of 2⁻ⁿ; whoever
/// searches for a slow digest pays 2ⁿ hashes for `n` steps. The walk ends for every digest, as it passes
/// through every `x`, and (1, 2) is a point.
pub fn hash_to_g1(digest: &[u8; 32]) -> G1Point {
    let mut x = Fq::from_be_bytes_mod_order(digest);
    loop {
        // For p ≡ 3 (mod 4) arkworks computes exactly that power. The curve has prime order, so whatever
        // is on it is in the group, and the conversion refuses none of these points.
        if let Some(y) = (x.square() * x + Fq::from(3)).sqrt()
            && let Ok(point) = G1Point::try_from(G1Affine::new_unchecked(x, y))
        {
            return point;
        }
        x += Fq::ONE;
    }
}
