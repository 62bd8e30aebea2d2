#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed unwrap is a failed test

use proptest::prelude::*;

use super::*;
use crate::wrap::scheme::IvPolicy;

fn public_key() -> PublicKey {
    let mut one = [0; 32];
    one[31] = 1;
    PublicKey {
        g1: G1Point::from_bytes(&bn254_ct::multiply_g1_generator(&one)).unwrap(),
        g2: G2Point::from_bytes(&bn254_ct::multiply_g2_generator(&one)).unwrap(),
    }
}

fn header(payload: Payload) -> Header {
    Header {
        scheme: Scheme::S1(IvPolicy::Caller),
        kek: [1; 16],
        key: KeyId::from_bytes([2; 16]),
        owner: [3; 20],
        version: 7,
        name: StoredName::new("main").unwrap(),
        created: 1_700_000_000,
        payload,
    }
}

fn of(header: Header) -> WrappedKey {
    let (iv, sealed) = (vec![4; header.scheme.iv_len()], vec![5; header.scheme.sealed_len()]);
    WrappedKey::new(header, &iv, &sealed).unwrap()
}

fn record() -> WrappedKey {
    of(header(Payload::Scalar(public_key())))
}

/// The encoding with its hash made right again, so that only the change itself can be noticed.
fn rehashed(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len() - HASH_LEN;
    let hash = Sha256::digest(&bytes[..body]);
    bytes[body..].copy_from_slice(&hash);
    bytes
}

#[test]
fn a_record_survives_its_encoding() {
    for payload in
        [Payload::Scalar(public_key()), Payload::Canary, Payload::StoreKey, Payload::CheckpointKey([9; 32])]
    {
        for scheme in Scheme::ALL {
            let record = of(Header { scheme: *scheme, ..header(payload) });
            assert!(WrappedKey::parse(record.encoded()).unwrap() == record);
            assert!(record.iv().iter().all(|byte| *byte == 4) && record.iv().len() == scheme.iv_len());
            assert!(record.sealed().iter().all(|byte| *byte == 5));
        }
    }
}

#[test]
fn the_encoding_is_the_documented_one() {
    let record = record();
    let bytes = record.encoded();
    assert_eq!(bytes.len(), 274 + 1 + 12 + 2 + 48 + 32);
    assert_eq!(&bytes[..7], b"AVSK\x02\x01\x01");
    assert_eq!(bytes[7..23], [1; 16]);
    assert_eq!(bytes[23..39], [2; 16]);
    assert_eq!(bytes[39..59], [3; 20]);
    assert_eq!(bytes[59..63], [0, 0, 0, 7]);
    assert_eq!(&bytes[63..68], b"\x04main");
    assert_eq!(bytes[68..72], [1, 1, 0, 0]);
    assert_eq!(bytes[72..80], 1_700_000_000_u64.to_be_bytes());
    assert_eq!(bytes[80..82], [0, 192]);
    assert_eq!(bytes[274], 12);
    assert_eq!(record.aad(), [&b"avs-kms/record/2"[..], &bytes[..274]].concat());
}

#[test]
fn every_header_field_is_in_the_aad() {
    let base = header(Payload::Scalar(public_key()));
    let mut seen = vec![base.aad()];
    for other in [
        Header { scheme: Scheme::S1(IvPolicy::Token), ..base },
        Header { kek: [9; 16], ..base },
        Header { key: KeyId::from_bytes([9; 16]), ..base },
        Header { owner: [9; 20], ..base },
        Header { created: 9, ..base },
        Header { version: 8, ..base },
        Header { name: StoredName::new("maim").unwrap(), ..base },
        Header { payload: Payload::Canary, ..base },
    ] {
        assert!(!seen.contains(&other.aad()));
        seen.push(other.aad());
    }
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let record = record();
    let bytes = record.encoded();
    for end in 0..bytes.len() {
        assert!(WrappedKey::parse(&bytes[..end]).is_err(), "{end}");
    }
    assert_eq!(WrappedKey::parse(&[bytes, &[0]].concat()).err(), Some(RecordError::Torn));
    let mut longer = bytes[..bytes.len() - HASH_LEN].to_vec();
    longer.extend_from_slice(&[0; 1 + HASH_LEN]);
    assert_eq!(WrappedKey::parse(&rehashed(longer)).err(), Some(RecordError::Long));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let record = record();
    for index in 0..record.encoded().len() * 8 {
        let mut bytes = record.encoded().to_vec();
        bytes[index / 8] ^= 1 << (index % 8);
        assert!(WrappedKey::parse(&bytes).is_err(), "bit {index}");
    }
}

#[test]
fn unknown_values_are_refused_even_under_a_right_hash() {
    let record = record();
    for (offset, what) in [
        (4, "format"),
        (5, "scheme"),
        (6, "variant"),
        (68, "curve"),
        (69, "kind"),
        (70, "flag"),
        (71, "flag"),
    ] {
        let mut bytes = record.encoded().to_vec();
        bytes[offset] = 77;
        assert_eq!(WrappedKey::parse(&rehashed(bytes)).err(), Some(RecordError::Unknown(what, 77)));
    }
    for (offset, what) in [(81, "public key"), (274, "IV"), (288, "sealed part")] {
        let mut bytes = record.encoded().to_vec();
        bytes[offset] ^= 1;
        assert_eq!(WrappedKey::parse(&rehashed(bytes)).err(), Some(RecordError::Length(what)));
    }
    let mut bytes = record.encoded().to_vec();
    bytes[100] ^= 1;
    assert!(matches!(WrappedKey::parse(&rehashed(bytes)).err(), Some(RecordError::Point(_))));
    for name in [b'M', b' ', 0] {
        let mut bytes = record.encoded().to_vec();
        bytes[64] = name;
        assert_eq!(WrappedKey::parse(&rehashed(bytes)).err(), Some(RecordError::Name));
    }
}

#[test]
fn a_record_of_0_1_is_refused_with_a_sentence() {
    let record = record();
    let mut bytes = record.encoded().to_vec();
    bytes[4] = 1;
    let refused = WrappedKey::parse(&rehashed(bytes)).err().unwrap();
    assert_eq!(refused, RecordError::Format0_1);
    assert!(refused.to_string().contains("avs-kms 0.1"), "{refused}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = WrappedKey::parse(&bytes);
        let mut dressed = MAGIC.to_vec();
        dressed.extend_from_slice(&bytes);
        dressed.extend_from_slice(&[0; HASH_LEN]);
        let _ = WrappedKey::parse(&rehashed(dressed));
    }
}
