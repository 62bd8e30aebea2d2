//! Hash-to-curve of EigenLayer's contracts (try-and-increment). Not for the RFC 9380 map that
//! Hourglass uses between its servers.

use ark_bn254::{Fq, G1Affine};
use ark_ff::{Field, PrimeField};
use hsm::G1Point;

/// `BN254.hashToG1`: the first `x` at or after `digest mod p` for which `x³ + 3` is a square.
///
/// The root is `(x³ + 3)^((p+1)/4)`, not normalised to an even or a smaller `y`. It must be the
/// root that the contract takes, because the other root is another message. The digest is not
/// hashed again, and there is no domain tag.
///
/// Half of all `x` have a point, so the mean is two steps, and `n` steps have a probability of 2⁻ⁿ.
/// To find a digest with `n` steps, an attacker computes 2ⁿ hashes. The loop ends for every digest:
/// it visits every `x`, and (1, 2) is a point.
pub fn hash_to_g1(digest: &[u8; 32]) -> G1Point {
    let mut x = Fq::from_be_bytes_mod_order(digest);
    loop {
        // For p ≡ 3 (mod 4) arkworks computes exactly that power. The curve has prime order, so
        // every point on it is in the group, and the conversion succeeds.
        if let Some(y) = (x.square() * x + Fq::from(3)).sqrt()
            && let Ok(point) = G1Point::try_from(G1Affine::new_unchecked(x, y))
        {
            return point;
        }
        x += Fq::ONE;
    }
}
