#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use proptest::prelude::*;

use super::*;

/// What ethers signed and hashed (tests/vectors/login.json says with which key).
pub(crate) fn vectors() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/login.json")).unwrap()
}

pub(crate) fn bytes(value: &serde_json::Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}

#[test]
fn a_personal_signature_of_ethers_names_its_signer() {
    let vectors = vectors();
    let login = &vectors["login"];
    let digest = personal_digest(login["message"].as_str().unwrap());
    assert_eq!(digest.as_slice(), bytes(&login["personal_digest"]));
    let signature = EoaSignature::from_bytes(&bytes(&login["personal_signature"])).unwrap();
    assert_eq!(signature.signer(&digest), Some(vectors["address"].as_str().unwrap().parse().unwrap()));
    assert_ne!(signature.signer(&[1; 32]), signature.signer(&digest));
}

#[test]
fn the_malleated_twin_is_refused_although_it_is_a_signature() {
    let vectors = vectors();
    let twin = bytes(&vectors["login"]["personal_malleated"]);
    let (r_s, v) = twin.split_at(64);
    let id = RecoveryId::from_byte(v[0] - 27).unwrap();
    let digest = personal_digest(vectors["login"]["message"].as_str().unwrap());
    let mut low = Signature::from_slice(r_s).unwrap();
    low = low.normalize_s().unwrap();
    let id = RecoveryId::new(!id.is_y_odd(), false);
    let key = VerifyingKey::recover_from_prehash(&digest, &low, id).unwrap();
    assert_eq!(address(&key).to_string(), vectors["address"], "the twin is not a twin");
    assert_eq!(EoaSignature::from_bytes(&twin).unwrap_err(), SignatureError::HighS);
}

#[test]
fn v_is_one_of_four_and_both_pairs_mean_the_same() {
    let good = bytes(&vectors()["login"]["personal_signature"]);
    let parity = good[64] - 27;
    for v in 0..=255 {
        let mut changed = good.clone();
        changed[64] = v;
        let read = EoaSignature::from_bytes(&changed);
        if [0, 1, 27, 28].contains(&v) {
            assert_eq!(u8::from(read.unwrap().recovery.is_y_odd()), v % 27, "{v}");
        } else {
            assert_eq!(read.unwrap_err(), SignatureError::RecoveryId, "{v}");
        }
    }
    assert!(parity < 2);
}

#[test]
fn any_other_length_and_scalars_out_of_range_are_refused() {
    let good = bytes(&vectors()["login"]["personal_signature"]);
    for length in (0..65).chain([66, 96, 130]) {
        let mut changed = good.clone();
        changed.resize(length, 0);
        assert_eq!(EoaSignature::from_bytes(&changed).unwrap_err(), SignatureError::Length, "{length}");
    }
    // 0 and the order of the group (SEC 2, 2.4.1).
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    for word in [[0; 32], hex::decode(order).unwrap().try_into().unwrap(), [0xff; 32]] {
        for at in [0, 32] {
            let mut changed = good.clone();
            changed[at..at + 32].copy_from_slice(&word);
            assert_eq!(EoaSignature::from_bytes(&changed).unwrap_err(), SignatureError::Scalar);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..70), digest: [u8; 32]) {
        if let Ok(signature) = EoaSignature::from_bytes(&bytes) {
            let _ = signature.signer(&digest);
        }
    }
}
