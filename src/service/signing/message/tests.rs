#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test should panic")]

use hsm::{KeyId, PublicKey};
use jiff::Timestamp;

use super::*;
use crate::key::{KeyName, KeyVersionNumber, LifecycleState, VersionStatus, VersionTimestamps};

const PLACE: Binding = Binding {
    chain_id: 1,
    registry: Registry::KeyRegistrar { avs: Eoa::new([3; 20]), operator_set_id: 7 },
    verifying_contract: Eoa::new([4; 20]),
    operator: Eoa::new([5; 20]),
};

fn version(binding: Option<Binding>) -> KeyVersion {
    // The generators: the public key of the scalar 1.
    let (mut g1, mut g2) = ([0; 64], [0; 128]);
    g1[31] = 1;
    g1[63] = 2;
    let coordinates = [
        "198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2",
        "1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed",
        "090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b",
        "12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa",
    ];
    hex::decode_to_slice(coordinates.concat(), &mut g2).unwrap();
    let public_key =
        PublicKey { g1: G1Point::from_bytes(&g1).unwrap(), g2: hsm::G2Point::from_bytes(&g2).unwrap() };
    KeyVersion {
        id: KeyId::from_bytes([1; 16]),
        eoa: Eoa::new([5; 20]),
        name: KeyName::default(),
        version: KeyVersionNumber::FIRST,
        status: VersionStatus::new(LifecycleState::Active),
        public_key,
        binding,
        registration: None,
        times: VersionTimestamps {
            created: Timestamp::UNIX_EPOCH,
            activated: None,
            superseded: None,
            retired: None,
            destroy: None,
            destroyed: None,
            announced: None,
        },
        destroy_intent: None,
    }
}

/// Messages of every form, and whether each has a digest.
#[test]
fn every_message_but_a_raw_point_resolves_to_a_digest_of_its_own() {
    let point = eigenlayer::hash_to_g1(&[9; 32]);
    let all = [
        Message::Point(point),
        Message::Digest([1; 32]),
        Message::Certificate { reference_timestamp: 1, message_hash: [2; 32] },
        Message::Registration(Binding { registry: Registry::BlsApkRegistry, ..PLACE }),
        Message::Registration(PLACE),
        Message::BoundRegistration,
    ];
    for message in all {
        let has_digest = !matches!(message, Message::Point(_));
        let bound = matches!(message, Message::BoundRegistration).then_some(PLACE);
        let resolved = message.resolve(&version(bound)).unwrap();
        assert_eq!(resolved.digest().is_some(), has_digest, "{message:?}");
        match resolved.digest() {
            Some(digest) => {
                assert_ne!(digest, [0; 32], "{message:?}");
                assert_eq!(resolved.point(), eigenlayer::hash_to_g1(&digest), "{message:?}");
            }
            None => assert_eq!(resolved.point(), point),
        }
    }
}

#[test]
fn a_bound_version_is_registered_nowhere_else() {
    let other = Binding { chain_id: 2, ..PLACE };
    let bound = version(Some(PLACE));
    assert!(Message::Registration(PLACE).resolve(&bound).is_ok());
    let refused = Message::Registration(other).resolve(&bound).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidKeyState);
    assert!(Message::Registration(other).resolve(&version(None)).is_ok());
    let refused = Message::BoundRegistration.resolve(&version(None)).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidRequest);
}
