//! Properties beyond the vectors: what is refused, and which fields a digest covers.
// A panic fails the test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use ark_bn254::{Fq, Fr, G1Affine, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::PrimeField;
use hsm::{G1Point, G2Point};
use proptest::{prelude::*, sample::Index};

use super::*;

/// A key of a throw-away scalar and its signature of a digest, all by arkworks.
#[derive(Debug)]
struct Signed {
    digest: [u8; 32],
    hash: G1Point,
    signature: G1Point,
    g1: G1Point,
    g2: G2Point,
}

impl Signed {
    fn new(scalar: u64, digest: [u8; 32]) -> Self {
        let scalar = Fr::from(scalar);
        let hash = hash_to_g1(&digest);
        Self {
            digest,
            signature: multiple(&hash, scalar),
            g1: (G1Affine::generator() * scalar).into_affine().try_into().unwrap(),
            g2: (G2Affine::generator() * scalar).into_affine().try_into().unwrap(),
            hash,
        }
    }

    fn accepted_with(&self, signature: &G1Point, hash: &G1Point, g1: &G1Point, g2: &G2Point) -> [bool; 2] {
        [verify(signature, hash, g2), apk_registry_accepts(signature, hash, g1, g2)]
    }
}

fn multiple(point: &G1Point, scalar: Fr) -> G1Point {
    (G1Affine::from(point) * scalar).into_affine().try_into().unwrap()
}

fn signed() -> impl Strategy<Value = Signed> {
    (1..u64::MAX, any::<[u8; 32]>()).prop_map(|(scalar, digest)| Signed::new(scalar, digest))
}

/// The fields of both registrations and of the certificate.
#[derive(Clone, Copy, Debug)]
struct Fields {
    addresses: [[u8; 20]; 3],
    chain_id: u64,
    number: u32,
    word: [u8; 32],
    key_data: [u8; 192],
}

fn fields() -> impl Strategy<Value = Fields> {
    (any::<[[u8; 20]; 3]>(), any::<u64>(), any::<u32>(), any::<[u8; 32]>(), any::<[[u8; 32]; 6]>()).prop_map(
        |(addresses, chain_id, number, word, key_data)| Fields {
            addresses,
            chain_id,
            number,
            word,
            key_data: key_data.concat().try_into().unwrap(),
        },
    )
}

/// Two messages have the same digest exactly when they are the same message.
fn distinguishes<T: PartialEq>(base: &T, variants: &[T], digest: impl Fn(&T) -> [u8; 32]) -> bool {
    variants.iter().all(|variant| (variant == base) == (digest(variant) == digest(base)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_hash_is_the_first_point_at_or_after_the_digest(digest in any::<[u8; 32]>()) {
        let point = hash_to_g1(&digest);
        prop_assert_eq!(G1Point::from_bytes(&point.to_bytes()).unwrap().to_bytes(), point.to_bytes());

        let mut x = Fq::from_be_bytes_mod_order(&digest);
        while G1Affine::get_point_from_x_unchecked(x, false).is_none() {
            x += Fq::from(1);
        }
        prop_assert_eq!(G1Affine::from(&point).x, x);
    }

    #[test]
    fn a_pubkey_registration_digest_covers_every_field(a in fields(), b in fields()) {
        let base = PubkeyRegistration {
            chain_id: a.chain_id,
            registry_coordinator: a.addresses[0],
            operator: a.addresses[1],
        };
        let variants = [
            base,
            PubkeyRegistration { chain_id: b.chain_id, ..base },
            PubkeyRegistration { registry_coordinator: b.addresses[0], ..base },
            PubkeyRegistration { operator: b.addresses[1], ..base },
            PubkeyRegistration { registry_coordinator: base.operator, operator: base.registry_coordinator, ..base },
        ];
        prop_assert!(distinguishes(&base, &variants, PubkeyRegistration::digest));
    }

    #[test]
    fn a_key_registration_digest_covers_every_field(a in fields(), b in fields()) {
        let base = KeyRegistration {
            chain_id: a.chain_id,
            key_registrar: a.addresses[0],
            version: KEY_REGISTRAR_VERSION,
            operator: a.addresses[1],
            avs: a.addresses[2],
            operator_set_id: a.number,
            key_data: &a.key_data,
        };
        let variants = [
            base,
            KeyRegistration { chain_id: b.chain_id, ..base },
            KeyRegistration { key_registrar: b.addresses[0], ..base },
            KeyRegistration { version: "2", ..base },
            KeyRegistration { operator: b.addresses[1], ..base },
            KeyRegistration { avs: b.addresses[2], ..base },
            KeyRegistration { operator: base.avs, avs: base.operator, ..base },
            KeyRegistration { operator_set_id: b.number, ..base },
            KeyRegistration { key_data: &b.key_data, ..base },
        ];
        prop_assert!(distinguishes(&base, &variants, KeyRegistration::digest));
    }

    #[test]
    fn a_certificate_digest_covers_every_field(a in fields(), b in fields()) {
        let base = Certificate { reference_timestamp: a.number, message_hash: a.word };
        let variants = [
            base,
            Certificate { reference_timestamp: b.number, ..base },
            Certificate { message_hash: b.word, ..base },
        ];
        prop_assert!(distinguishes(&base, &variants, Certificate::digest));
        prop_assert_ne!(base.digest(), base.message_hash);
    }
}

// Each case costs several pairings.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_valid_signature_is_accepted_by_every_check(own in signed()) {
        prop_assert!(same_key(&own.g1, &own.g2));
        prop_assert_eq!(own.accepted_with(&own.signature, &own.hash, &own.g1, &own.g2), [true; 2]);
        prop_assert!(signature_verifier_accepts(&own.digest, &own.signature, &own.g1, &own.g2));
    }

    #[test]
    fn a_point_with_a_flipped_bit_is_refused(own in signed(), bit in any::<Index>()) {
        let mut bytes = [&own.signature.to_bytes()[..], &own.hash.to_bytes(), &own.g2.to_bytes()].concat();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);

        let signature = G1Point::from_bytes(bytes[..64].try_into().unwrap());
        let hash = G1Point::from_bytes(bytes[64..128].try_into().unwrap());
        let g2 = G2Point::from_bytes(bytes[128..].try_into().unwrap());
        if let (Ok(signature), Ok(hash), Ok(g2)) = (signature, hash, g2) {
            prop_assert!(!verify(&signature, &hash, &g2));
        }
    }

    #[test]
    fn a_digest_with_a_flipped_bit_is_another_message(own in signed(), bit in 0..256_usize) {
        let mut digest = own.digest;
        digest[bit / 8] ^= 1 << (bit % 8);
        let hash = hash_to_g1(&digest);
        // Two digests share a point if the search from the lower one passes the higher one.
        prop_assume!(hash.to_bytes() != own.hash.to_bytes());
        prop_assert_eq!(own.accepted_with(&own.signature, &hash, &own.g1, &own.g2), [false; 2]);
        prop_assert!(!signature_verifier_accepts(&digest, &own.signature, &own.g1, &own.g2));
    }

    #[test]
    fn another_signature_or_key_is_refused_by_every_check(own in signed(), other in signed()) {
        let negated = multiple(&own.signature, -Fr::from(1));
        for signature in [&negated, &own.hash, &other.signature] {
            prop_assert_eq!(own.accepted_with(signature, &own.hash, &own.g1, &own.g2), [false; 2]);
            prop_assert!(!signature_verifier_accepts(&own.digest, signature, &own.g1, &own.g2));
        }
        prop_assert!(!same_key(&own.g1, &other.g2));
        prop_assert_eq!(own.accepted_with(&own.signature, &own.hash, &own.g1, &other.g2), [false; 2]);
    }

    /// `verify` alone does not use the G1 key; the combined check of the contracts does.
    #[test]
    fn the_contracts_refuse_a_g1_key_of_another_g2_key(own in signed(), other in signed()) {
        let accepted = own.accepted_with(&own.signature, &own.hash, &other.g1, &own.g2);
        prop_assert_eq!(accepted, [true, false]);
        prop_assert!(!signature_verifier_accepts(&own.digest, &own.signature, &other.g1, &own.g2));
    }
}
