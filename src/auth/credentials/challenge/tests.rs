#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use super::*;
use crate::auth::credentials::signature::tests::{bytes, vectors};
use crate::auth::{EoaSignature, InstallationId};

const INSTALLATION: InstallationId = InstallationId::new([5; 16]);

fn audience() -> Audience {
    Audience::new("https://kms.example:8443/kms/", 17_000, INSTALLATION).unwrap()
}

/// The challenge that the vectors are about.
fn challenge() -> Challenge {
    Challenge {
        eoa: vectors()["address"].as_str().unwrap().parse().unwrap(),
        scopes: [Scope::KeysRead, Scope::SignTyped].into_iter().collect(),
        life: 900,
        issued_at: "2026-11-25T21:00:00Z".parse().unwrap(),
        nonce: [7; 32],
    }
}

#[test]
fn text_object_and_digests_are_what_ethers_makes_of_the_same_login() {
    let (login, challenge) = (&vectors()["login"], challenge());
    assert_eq!(challenge.message(&audience()), login["message"].as_str().unwrap());
    assert_eq!(challenge.typed_data(&audience()), login["typed_data"]);
    let [(_, personal), (_, typed)] = challenge.digests(&audience());
    assert_eq!(personal.as_slice(), bytes(&login["personal_digest"]));
    assert_eq!(typed.as_slice(), bytes(&login["typed_digest"]));
    let signature = EoaSignature::from_bytes(&bytes(&login["typed_signature"])).unwrap();
    assert_eq!(signature.signer(&typed), Some(challenge.eoa));
}

#[test]
fn everything_that_a_challenge_says_changes_both_digests() {
    let (first, audience) = (challenge(), audience());
    let digests = first.digests(&audience);
    let later = first.issued_at.saturating_add(Duration::from_secs(1)).unwrap();
    for other in [
        Challenge { eoa: Eoa::new([9; 20]), ..first.clone() },
        Challenge { scopes: Scopes::all(), ..first.clone() },
        Challenge { life: 901, ..first.clone() },
        Challenge { issued_at: later, ..first.clone() },
        Challenge { nonce: [8; 32], ..first.clone() },
    ] {
        let others = other.digests(&audience);
        assert!(others[0] != digests[0] && others[1] != digests[1], "{other:?}");
    }
    let another = InstallationId::new([6; 16]);
    for (url, chain, installation) in [
        ("https://kms.example:8443", 17_000, INSTALLATION),
        ("http://kms.example:8443/kms", 17_000, INSTALLATION),
        ("https://kms.example/kms", 17_000, INSTALLATION),
        ("https://kms.example:8443/kms", 1, INSTALLATION),
        ("https://kms.example:8443/kms", 17_000, another),
    ] {
        let others = first.digests(&Audience::new(url, chain, installation).unwrap());
        assert!(others[0] != digests[0] && others[1] != digests[1], "{url} {chain} {installation}");
    }
}

#[test]
fn a_sealed_challenge_opens_for_its_service_alone_and_no_bit_of_it_can_be_changed() {
    let (key, challenge) = (ChallengeKey::new([1; 32]), challenge());
    let id = key.seal(&challenge, &audience());
    assert_eq!(key.open(&id, &audience()), Some(challenge));
    assert_eq!(ChallengeKey::new([2; 32]).open(&id, &audience()), None);
    for (url, chain, installation) in [
        ("https://kms.example:8443/kms", 1, INSTALLATION),
        ("https://evil.example/kms", 17_000, INSTALLATION),
        ("https://kms.example:8443/kms", 17_000, InstallationId::new([6; 16])),
    ] {
        assert_eq!(key.open(&id, &Audience::new(url, chain, installation).unwrap()), None);
    }
    let bytes = hex::decode(id.strip_prefix("ch_").unwrap()).unwrap();
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        assert_eq!(key.open(&format!("ch_{}", hex::encode(changed)), &audience()), None, "bit {at}");
    }
    for length in 0..id.len() {
        assert_eq!(key.open(&id[..length], &audience()), None);
    }
    assert_eq!(format!("{key:?}"), "ChallengeKey(..)");
}
