//! The Rust client (`client/`) against the real service: every call it has.

use avs_kms::eigenlayer;
use avs_kms_client::{Client, G1Point, KeyRef, Registration, SignResult, Version};

use crate::support::{EOA, Installation};

const CONTRACT: &str = "0x54f4bC6bDEbe479173a2bbDc31dD7178408A57A4";

/// The signature verifies, and each of its forms says the same.
fn assert_signs(signed: &SignResult) {
    let g1 = |point: &G1Point| hsm::G1Point::from_coordinates(&point.x.0, &point.y.0).unwrap();
    let (x, y) = (&signed.g2.x, &signed.g2.y);
    let g2 = hsm::G2Point::from_coordinates([&x[0].0, &x[1].0], [&y[0].0, &y[1].0]).unwrap();
    assert!(eigenlayer::apk_registry_accepts(
        &g1(&signed.signature),
        &g1(&signed.hash),
        &g1(&signed.g1),
        &g2
    ));
    assert_eq!(signed.signature_bytes.0, signed.signature.to_bytes());
    assert_eq!(signed.key_data.0, eigenlayer::key_data(&g1(&signed.g1), &g2));
}

#[tokio::test]
async fn the_typed_client_speaks_every_call() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let client = Client::new(&format!("http://{}", service.address), token.into()).unwrap();
    let key = KeyRef::new(EOA).named("set-7");
    client.ready().await.unwrap();

    let (first, again) = (client.create_key(&key).await.unwrap(), client.create_key(&key).await.unwrap());
    assert_eq!((first.created, again.created, &first.record), (true, false, &again.record));
    assert_eq!(client.keys(EOA).await.unwrap(), std::slice::from_ref(&first.record));
    let shown = client.key(&key).await.unwrap();
    assert_eq!((&shown.current, shown.versions.len()), (&first.record, 1));

    let digest = client.sign_digest(&key, [0x5a; 32]).await.unwrap();
    assert_eq!(digest.digest.unwrap().0, [0x5a; 32]);
    let point = client.scalar_mul(&key.clone().version(Version::Number(1)), &digest.hash).await.unwrap();
    assert_eq!((point.signature, point.digest), (digest.signature, None));
    let coordinator = Registration::bls_apk_registry(17_000, CONTRACT);
    let coordinator = client.sign_registration(&key, &coordinator).await.unwrap();
    let registrar = Registration::key_registrar(1, CONTRACT, EOA, 7);
    let registrar =
        client.sign_registration(&key.clone().version(Version::Current), &registrar).await.unwrap();
    let certificate = client.sign_certificate(&key, 1_795_000_000, [9; 32]).await.unwrap();
    for signed in [&digest, &point, &coordinator, &registrar, &certificate] {
        assert_signs(signed);
    }
    assert_ne!(coordinator.digest, registrar.digest);
    assert!(client.checkpoint().await.unwrap().checkpoint.contains("avs-kms"));

    let refused = client.sign_digest(&key.clone().version(Version::Next), [1; 32]).await.unwrap_err();
    assert_eq!(refused.api_error().unwrap().code, "version_not_found");
    let other = Client::anonymous(&format!("http://{}", service.address)).unwrap();
    assert_eq!(other.keys(EOA).await.unwrap_err().api_error().unwrap().status, 401);
    let local = Client::local(&installation.data().join("admin.sock")).unwrap();
    assert_eq!(local.keys(EOA).await.unwrap().len(), 1);
}
