#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed unwrap is a failed test

use proptest::prelude::*;

use super::*;

fn public_key() -> PublicKey {
    let mut one = [0; 32];
    one[31] = 1;
    PublicKey {
        g1: G1Point::from_bytes(&bn254_ct::multiply_g1_generator(&one)).unwrap(),
        g2: G2Point::from_bytes(&bn254_ct::multiply_g2_generator(&one)).unwrap(),
    }
}

fn header(content: Content) -> Header {
    let key = KeyId::from_bytes([2; 16]);
    Header { kek: [1; 16], key, owner: [3; 20], created: 1_700_000_000, content }
}

fn record() -> WrappedKey {
    WrappedKey::new(header(Content::Scalar(public_key())), [4; IV_LEN], [5; SEALED_LEN])
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
    for content in [Content::Scalar(public_key()), Content::Canary] {
        let record = WrappedKey::new(header(content), [4; IV_LEN], [5; SEALED_LEN]);
        assert!(WrappedKey::parse(record.encoded()).unwrap() == record);
    }
}

#[test]
fn the_encoding_is_the_documented_one() {
    let record = record();
    let bytes = record.encoded();
    assert_eq!(bytes.len(), 264 + 1 + 12 + 2 + 48 + 32);
    assert_eq!(&bytes[..6], b"AVSK\x01\x01");
    assert_eq!(bytes[6..22], [1; 16]);
    assert_eq!(bytes[22..38], [2; 16]);
    assert_eq!(bytes[38..58], [3; 20]);
    assert_eq!(bytes[58..62], [1, 1, 0, 0]);
    assert_eq!(bytes[62..70], 1_700_000_000_u64.to_be_bytes());
    assert_eq!(bytes[70..72], [0, 192]);
    assert_eq!(bytes[264], 12);
    assert_eq!(record.aad(), [&b"avs-kms/record/1"[..], &bytes[..264]].concat());
}

#[test]
fn every_header_field_is_in_the_aad() {
    let base = header(Content::Scalar(public_key()));
    let mut seen = vec![base.aad()];
    for other in [
        Header { kek: [9; 16], ..base },
        Header { key: KeyId::from_bytes([9; 16]), ..base },
        Header { owner: [9; 20], ..base },
        Header { created: 9, ..base },
        Header { content: Content::Canary, ..base },
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
    for (offset, what) in
        [(4, "version"), (5, "scheme"), (58, "curve"), (59, "kind"), (60, "flag"), (61, "flag")]
    {
        let mut bytes = record.encoded().to_vec();
        bytes[offset] = 7;
        assert_eq!(WrappedKey::parse(&rehashed(bytes)).err(), Some(RecordError::Unknown(what, 7)));
    }
    for (offset, what) in [(71, "public key"), (264, "IV"), (278, "sealed part")] {
        let mut bytes = record.encoded().to_vec();
        bytes[offset] ^= 1;
        assert_eq!(WrappedKey::parse(&rehashed(bytes)).err(), Some(RecordError::Length(what)));
    }
    let mut bytes = record.encoded().to_vec();
    bytes[100] ^= 1;
    assert!(matches!(WrappedKey::parse(&rehashed(bytes)).err(), Some(RecordError::Point(_))));
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
